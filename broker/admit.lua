#!lua
-- Queues many jobs, all or none; a job or an idempotency key that is known already is answered, not queued again.
-- ARGV: max_queued, max_tenant_queued, idempotency_ttl_s; of lines of a batch file that file, the number of the first line and the offset
-- behind the last one, else three empty; result_ttl_s; then for each job: id, kind, queue, spec, print, bytes, flops,
-- alone, key (with its tenant), traceparent, custom, tenant, cancel_after_ms or 0 (of a file's lines, that of the file counts)
-- Answers {'ok', now, jobs that waited before, answer ...} or {'conflict', number of the job} or {'full', queued, done per second}
-- or {'tenant-full', queued of the tenant, its done per second}
-- or {'stale'} when the file's next line is another one. Of a file that is to be cancelled, or
-- whose deadline has passed, the jobs end at once.
-- The answer for a job: 0 when it was queued now, 1 when it is known already, or the earlier id of its key.
local STRIDE, FIRST = 13, 8
local max_queued, max_tenant_queued, ttl_s = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local file, line, offset, result_ttl_s = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local ending, after_ms, expires -- of the lines of a file
local now = now_ms()
local answer, fresh, keyed = {'ok', now, 0}, {}, {}

if file ~= '' then
  local place = redis.call('HMGET', file_key(file), 'admitted', 'stop', 'after', 'expires')
  if place[1] ~= line then return {'stale'} end
  after_ms, expires = place[3], tonumber(place[4])
  ending = place[2] and 'cancelled' or expires and expires <= now and 'expired'
end

-- The job that holds an idempotency key: (id, fingerprint), or nothing.
local function holder(key)
  if keyed[key] then return keyed[key][1], keyed[key][2] end
  local id = redis.call('GET', TAG .. 'idempotency:' .. key)
  local print = id and redis.call('HGET', job_key(id), 'print')
  if print then return id, print end
end

for i = FIRST, #ARGV, STRIDE do
  local id, print, key = ARGV[i], ARGV[i + 4], ARGV[i + 8]
  local earlier, earlier_print
  if key ~= '' then earlier, earlier_print = holder(key) end
  if earlier and earlier_print ~= print then return {'conflict', (i - FIRST) / STRIDE} end
  if key ~= '' and not earlier then keyed[key] = {id, print} end
  if earlier and earlier ~= id then
    answer[#answer + 1] = earlier
  elseif earlier or key == '' and redis.call('EXISTS', job_key(id)) == 1 then -- a key is written with its job
    answer[#answer + 1] = 1
  else
    answer[#answer + 1] = 0
    fresh[#fresh + 1] = i
  end
end

local tenants = {} -- and how many new jobs of each
for _, i in ipairs(fresh) do tenants[ARGV[i + 11]] = (tenants[ARGV[i + 11]] or 0) + 1 end
if #fresh > 0 and not ending then
  local refused = refusal(now, #fresh, max_queued, tenants, max_tenant_queued)
  if refused then return refused end
end
answer[3] = all_waiting()

local admitted = tonumber(redis.call('HGET', COUNTS, 'admitted') or 0)
local queues = {}

local function wait_in_line(id, queue)
  local known = queues[queue]
  local entry = redis.call('XADD', known and queue_key(queue) or make_queue(queue), '*', 'i', id)
  if known then known[2] = known[2] + 1 else queues[queue] = {entry, 1} end
  return entry
end

for n, i in ipairs(fresh) do
  local id, queue, key, tenant = ARGV[i], ARGV[i + 2], ARGV[i + 8], ARGV[i + 11]
  redis.call('HSET', job_key(id), 'state', 'queued', 'made', now, 'seq', admitted + n,
    'kind', ARGV[i + 1], 'queue', queue, 'spec', ARGV[i + 3], 'print', ARGV[i + 4], 'bytes', ARGV[i + 5],
    'flops', ARGV[i + 6], 'tenant', tenant, 'entry', ending and '' or wait_in_line(id, queue))
  if ARGV[i + 7] == '1' then redis.call('HSET', job_key(id), 'alone', 1) end
  if ARGV[i + 9] ~= '' then redis.call('HSET', job_key(id), 'trace', ARGV[i + 9]) end
  if key ~= '' then redis.call('SET', TAG .. 'idempotency:' .. key, id, 'EX', ttl_s) end
  redis.call('XADD', index_key(tenant), '*', 'i', id)
  if file ~= '' then redis.call('HSET', job_key(id), 'file', file, 'custom', ARGV[i + 10]) end
  if after_ms then
    set_deadline(id, after_ms, expires)
  elseif ARGV[i + 12] ~= '0' then
    set_deadline(id, ARGV[i + 12], now + ARGV[i + 12])
  end
  if ending then end_job(id, now, result_ttl_s, ending) end
end
if file ~= '' then redis.call('HSET', file_key(file), 'admitted', line + (#ARGV - FIRST + 1) / STRIDE, 'offset', offset) end
if ending then publish('ended', {}) end
for tenant in pairs(tenants) do redis.call('ZADD', TRIMMING, 'NX', now, tenant) end
for queue, added in pairs(queues) do add_waiting(queue, added[1], added[2]) end
if #fresh > 0 then
  redis.call('HINCRBY', COUNTS, 'admitted', #fresh)
  ring()
end
return answer

#!lua
-- Queues many jobs, all or none; a job or an idempotency key that is known already is answered, not queued again.
-- ARGV: max_queued, idempotency_ttl_s, then for each job: id, kind, batch, spec, print, bytes, flops, alone, key,
-- traceparent
-- Answers {'ok', now, jobs that waited before, answer ...} or {'conflict', number of the job} or {'full', queued, done per second}
-- The answer for a job: 0 when it was queued now, 1 when it is known already, or the earlier id of its key.
local STRIDE = 10
local max_queued, ttl_s = tonumber(ARGV[1]), ARGV[2]
local now = now_ms()
local answer, fresh, keyed = {'ok', now, 0}, {}, {}

-- The job that holds an idempotency key: (id, fingerprint), or nothing.
local function holder(key)
  if keyed[key] then return keyed[key][1], keyed[key][2] end
  local id = redis.call('GET', TAG .. 'idempotency:' .. key)
  local print = id and redis.call('HGET', job_key(id), 'print')
  if print then return id, print end
end

for i = 3, #ARGV, STRIDE do
  local id, print, key = ARGV[i], ARGV[i + 4], ARGV[i + 8]
  local earlier, earlier_print
  if key ~= '' then earlier, earlier_print = holder(key) end
  if earlier and earlier_print ~= print then return {'conflict', (i - 3) / STRIDE} end
  if key ~= '' and not earlier then keyed[key] = {id, print} end
  if earlier and earlier ~= id then
    answer[#answer + 1] = earlier
  elseif earlier or redis.call('EXISTS', job_key(id)) == 1 then
    answer[#answer + 1] = 1
  else
    answer[#answer + 1] = 0
    fresh[#fresh + 1] = i
  end
end

local counts = redis.call('HMGET', COUNTS, 'queued', 'admitted', 'window', 'done', 'rate')
local queued = tonumber(counts[1] or 0)
answer[3] = queued
if #fresh > 0 and queued + #fresh > max_queued then
  local elapsed = now - tonumber(counts[3] or now)
  local rate = counts[5] or '0'
  if elapsed >= 1000 then rate = tostring(tonumber(counts[4]) * 1000 / elapsed) end
  return {'full', queued, rate}
end

local batches = {}
for n, i in ipairs(fresh) do
  local id, batch, key = ARGV[i], ARGV[i + 2], ARGV[i + 8]
  local known = batches[batch]
  local entry = redis.call('XADD', known and queue_key(batch) or make_queue(batch), '*', 'i', id)
  if known then known[2] = known[2] + 1 else batches[batch] = {entry, 1} end
  redis.call('HSET', job_key(id), 'state', 'queued', 'entry', entry, 'made', now, 'seq', tonumber(counts[2] or 0) + n,
    'kind', ARGV[i + 1], 'batch', batch, 'spec', ARGV[i + 3], 'print', ARGV[i + 4], 'bytes', ARGV[i + 5],
    'flops', ARGV[i + 6])
  if ARGV[i + 7] == '1' then redis.call('HSET', job_key(id), 'alone', 1) end
  if ARGV[i + 9] ~= '' then redis.call('HSET', job_key(id), 'trace', ARGV[i + 9]) end
  if key ~= '' then redis.call('SET', TAG .. 'idempotency:' .. key, id, 'EX', ttl_s) end
  redis.call('XADD', TAG .. 'index', '*', 'i', id)
end
for batch, added in pairs(batches) do add_waiting(batch, added[1], added[2]) end
if #fresh > 0 then
  redis.call('HINCRBY', COUNTS, 'admitted', #fresh)
  ring()
end
return answer

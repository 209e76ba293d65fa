-- Steps that several transitions share; scripts.py puts this in front of each script. keys.py explains the keys.
local TAG = KEYS[1] .. ':'
local GROUP, BACK = 'workers', 'back'
local WAITING, COUNTS, LEASES = TAG .. 'waiting', TAG .. 'counts', TAG .. 'leases'
local RANKS = {0, 1, 2} -- of the priorities high, normal and low
local TRIMMING, DEADLINES = TAG .. 'trimming', TAG .. 'deadlines'
local LEASE_HEADER = 3 -- fields of a lease that are not jobs
local DEFAULT_TENANT = 'default' -- as in mercer/tenants.py: whose what has no field `tenant` is

local function job_key(id) return TAG .. 'job:' .. id end
local function file_key(file) return TAG .. 'file:' .. file end
local function queue_key(queue) return TAG .. 'queue:' .. queue end
local function of_tenant(tenant) return tenant == DEFAULT_TENANT and '' or ':' .. tenant end
local function index_key(tenant) return TAG .. 'index' .. of_tenant(tenant) end
local function dead_key(tenant) return TAG .. 'dead' .. of_tenant(tenant) end
local function files_key(tenant) return TAG .. 'files' .. of_tenant(tenant) end
local function ready_key(rank) return TAG .. 'ready:' .. rank end
local function ready_queues_key(rank, tenant) return TAG .. 'ready:' .. rank .. ':' .. tenant end
local function share_key(tenant) return TAG .. 'share:' .. tenant end
local function lease_key(lease) return TAG .. 'lease:' .. lease end
local function entry_ms(entry) return string.match(entry, '^%d+') end

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- At most one token: whoever takes it and leaves work behind puts it back.
local function ring()
  if redis.call('LLEN', TAG .. 'bell') == 0 then redis.call('LPUSH', TAG .. 'bell', '1') end
end

local moved_files = {} -- batch files of which jobs ended in this script

local function publish(channel, ids)
  if #ids > 0 then redis.call('PUBLISH', TAG .. channel, table.concat(ids, ' ')) end
  if channel == 'ended' then
    for file in pairs(moved_files) do redis.call('PUBLISH', TAG .. 'moved', 'file:' .. file) end
  end
end

-- By when a job must have ended, and how long that was from the beginning.
local function set_deadline(id, after_ms, expires)
  redis.call('HSET', job_key(id), 'after', after_ms, 'expires', expires)
  redis.call('ZADD', DEADLINES, expires, id)
end

-- The batch file that still counts a job, or nothing; and the job's tenant.
local function file_of(id)
  local job = redis.call('HMGET', job_key(id), 'file', 'tenant')
  local file = job[1]
  return file and redis.call('EXISTS', file_key(file)) == 1 and file or nil, job[2] or DEFAULT_TENANT
end

local function count_running(file, number)
  if file then redis.call('HINCRBY', file_key(file), 'running', number) end
end

local HOOKED_AT_MOST = 10000 -- deliveries that may wait for one endpoint; further events are dropped, and counted
local hooked, endpoints -- whether anybody has webhooks; those of each tenant. Looked up at most once in a script

-- Queues an event for one endpoint, due at once. Answers its message, or nothing when too many wait.
local function deliver(endpoint, event, id, kind, now)
  local hook = TAG .. 'hook:' .. endpoint
  if redis.call('ZCARD', hook .. ':due') >= HOOKED_AT_MOST then
    redis.call('HINCRBY', hook, 'dropped', 1)
    redis.call('HINCRBY', COUNTS, 'undelivered', 1)
    return
  end
  local message = 'msg_' .. id .. '_' .. now
  redis.call('HINCRBY', COUNTS, 'deliveries', redis.call('ZADD', hook .. ':due', now, message))
  redis.call('HSET', hook .. ':events', message, table.concat({event, id, kind, now}, ' '))
  local leased = tonumber(redis.call('HGET', hook, 'lease') or 0) > now
  redis.call('ZADD', TAG .. 'hooks-due', leased and 'NX' or 'LT', now, endpoint)
  return message
end

-- What waits for an endpoint is never delivered.
local function abandon(endpoint)
  local hook = TAG .. 'hook:' .. endpoint
  local waiting = redis.call('ZCARD', hook .. ':due')
  redis.call('DEL', hook .. ':due', hook .. ':events', hook .. ':tries')
  redis.call('ZREM', TAG .. 'hooks-due', endpoint)
  redis.call('HINCRBY', hook, 'abandoned', waiting)
  redis.call('HINCRBY', COUNTS, 'deliveries', -waiting)
  redis.call('HINCRBY', COUNTS, 'undelivered', waiting)
end

local function has_hooks()
  if hooked == nil then hooked, endpoints = redis.call('EXISTS', TAG .. 'hooks') == 1, {} end
  return hooked
end

-- Queues an event for the endpoints of a tenant that asked for it.
local function emit(tenant, event, id, now)
  endpoints[tenant] = endpoints[tenant] or redis.call('HGETALL', TAG .. 'hooks:' .. tenant)
  local some = endpoints[tenant]
  for i = 1, #some, 2 do
    if string.find(some[i + 1], ' ' .. event .. ' ', 1, true) then
      deliver(some[i], event, id, redis.call('HGET', job_key(id), 'kind') or 'batch', now)
    end
  end
end

local function emit_file(file, now)
  local fields = redis.call('HMGET', file_key(file), 'stop', 'succeeded', 'total', 'tenant')
  local event = fields[1] and 'cancelled' or fields[2] == fields[3] and 'completed' or 'completed_with_errors'
  emit(fields[4] or DEFAULT_TENANT, 'batch.' .. event, file, now)
end

-- A job of a batch file ends: it is counted and listed; with the last one the file begins to expire.
local function list_ended(file, id, now, ttl_s, state)
  local key, job = file_key(file), redis.call('HMGET', job_key(id), 'state', 'custom')
  if job[1] == 'running' then count_running(file, -1) end
  redis.call('HINCRBY', key, state, 1)
  local list = key .. (state == 'succeeded' and ':output' or ':errors')
  redis.call('HSET', job_key(id), 'listed', redis.call('XADD', list, '*', 'i', id, 'c', job[2], 's', state))
  if redis.call('HINCRBY', key, 'left', -1) == 0 then
    redis.call('HSET', key, 'ended', now)
    for _, part in ipairs({'', ':output', ':errors'}) do redis.call('EXPIRE', key .. part, ttl_s) end
    if has_hooks() then emit_file(file, now) end
  end
  moved_files[file] = true
end

-- A job of a batch file that had ended without success waits again.
local function unlist(file, id, state)
  local key = file_key(file)
  redis.call('HINCRBY', key, state, -1)
  redis.call('HINCRBY', key, 'left', 1)
  redis.call('XDEL', key .. ':errors', redis.call('HGET', job_key(id), 'listed'))
  redis.call('HDEL', key, 'ended')
  for _, part in ipairs({'', ':output', ':errors'}) do redis.call('PERSIST', key .. part) end
end

-- What the name of a queue says: rank, tenant.
local function rank_and_tenant(queue) return string.match(queue, '^(%d):([^:]*):') end

local function count_waiting(queue, rank, tenant, number)
  redis.call('HINCRBY', COUNTS, 'queued:' .. rank, number)
  redis.call('HINCRBY', share_key(tenant), 'queued', number)
  return redis.call('HINCRBY', WAITING, queue, number)
end

-- A tenant begins to wait: from where it stopped, but not before those who are served now, or it had saved up a turn for
-- each moment in which it had nothing to do.
local function join(rank, tenant)
  local stopped, now = redis.call('HGET', share_key(tenant), 'served:' .. rank), redis.call('HGET', COUNTS, 'served:' .. rank)
  redis.call('ZADD', ready_key(rank), 'NX', math.max(tonumber(stopped or 0), tonumber(now or 0)), tenant)
end

local function leave(rank, tenant)
  local served = redis.call('ZSCORE', ready_key(rank), tenant)
  redis.call('ZREM', ready_key(rank), tenant)
  redis.call('HSET', share_key(tenant), 'served:' .. rank, served)
end

local function add_waiting(queue, entry, number)
  local rank, tenant = rank_and_tenant(queue)
  if redis.call('ZADD', ready_queues_key(rank, tenant), 'LT', entry_ms(entry), queue) == 1 then join(rank, tenant) end
  count_waiting(queue, rank, tenant, number)
end

local function oldest_waiting(queue)
  local stream = queue_key(queue)
  if redis.call('EXISTS', stream) == 0 then return end -- deleted by hand
  local back = redis.call('XPENDING', stream, GROUP, '-', '+', 1)
  if back[1] then return back[1][1] end
  local group, last = redis.call('XINFO', 'GROUPS', stream)[1], nil
  for i = 1, #group, 2 do
    if group[i] == 'last-delivered-id' then last = group[i + 1] end
  end
  local next = redis.call('XRANGE', stream, '(' .. last, '+', 'COUNT', 1)
  return next[1] and next[1][1]
end

-- Jobs left the waiting ones of a queue; its place among the ready ones follows.
local function take_waiting(queue, number)
  local rank, tenant = rank_and_tenant(queue)
  local ready = ready_queues_key(rank, tenant)
  local left = count_waiting(queue, rank, tenant, -number)
  local oldest = left > 0 and oldest_waiting(queue)
  if oldest then
    redis.call('ZADD', ready, entry_ms(oldest), queue)
  else
    if left ~= 0 then count_waiting(queue, rank, tenant, -left) end -- entries were deleted by hand
    redis.call('HDEL', WAITING, queue)
    redis.call('ZREM', ready, queue)
    if redis.call('EXISTS', ready) == 0 then leave(rank, tenant) end
  end
end

local function make_queue(queue)
  local stream = queue_key(queue)
  if redis.call('EXISTS', stream) == 0 then redis.call('XGROUP', 'CREATE', stream, GROUP, '0', 'MKSTREAM') end
  return stream
end

-- A job goes to the end of its queue; it is for the caller to count it as waiting.
local function enqueue(id, queue)
  local entry = redis.call('XADD', make_queue(queue), '*', 'i', id)
  redis.call('HSET', job_key(id), 'state', 'queued', 'entry', entry)
  return entry
end

-- An empty stream goes, and its group with it.
local function delete_entries(queue, entries)
  local stream = queue_key(queue)
  redis.call('XDEL', stream, unpack(entries))
  if redis.call('XLEN', stream) == 0 then redis.call('DEL', stream) end
end

-- A running job waits again in its old place, or at the end where its entry was deleted by hand.
local function put_back(id, queue, entry)
  count_running(file_of(id), -1)
  redis.call('HDEL', job_key(id), 'lease', 'worker', 'device', 'began', 'progress')
  redis.call('HSET', job_key(id), 'state', 'queued')
  local claimed = redis.pcall('XCLAIM', queue_key(queue), GROUP, BACK, 0, entry, 'FORCE', 'JUSTID')
  if not claimed[1] then entry = enqueue(id, queue) end
  add_waiting(queue, entry, 1)
end

-- A dead job is listed, for as long as its record lives, so that nobody need look through all jobs to find it.
local function bury(id, tenant, now, ttl_s)
  local entry = redis.call('XADD', dead_key(tenant), 'MINID', now - ttl_s * 1000, '*', 'i', id)
  redis.call('HSET', job_key(id), 'buried', entry)
end

local function exhume(id, tenant, entry)
  redis.call('XDEL', dead_key(tenant), entry)
  redis.call('HDEL', job_key(id), 'buried')
  if redis.call('XLEN', dead_key(tenant)) == 0 then redis.call('DEL', dead_key(tenant)) end
end

local function end_job(id, now, ttl_s, state, ...)
  if state == 'dead' or state == 'expired' then redis.call('HINCRBY', COUNTS, state, 1) end
  local file, tenant = file_of(id)
  if state == 'dead' then bury(id, tenant, now, ttl_s) end
  if file then
    list_ended(file, id, now, ttl_s, state)
  elseif has_hooks() then
    emit(tenant, 'job.' .. state, id, now)
  end
  redis.call('HSET', job_key(id), 'state', state, 'ended', now, ...)
  redis.call('EXPIRE', job_key(id), ttl_s)
end

-- The jobs that a lease holds, as {id, entry}, and their queue.
local function held_by(lease)
  local fields, jobs, queue = redis.call('HGETALL', lease_key(lease)), {}, nil
  for i = 1, #fields, 2 do
    if fields[i] == '@queue' then
      queue = fields[i + 1]
    elseif string.sub(fields[i], 1, 1) ~= '@' then
      jobs[#jobs + 1] = {fields[i], fields[i + 1]}
    end
  end
  return jobs, queue
end

-- A running job comes back: it ends where that was asked for, is dead where there is an error, and else waits again. Its
-- state then.
local function take_back(id, queue, entry, now, ttl_s, error)
  local stop = redis.call('HGET', job_key(id), 'stop')
  if stop then
    end_job(id, now, ttl_s, stop)
  elseif error then
    end_job(id, now, ttl_s, 'dead', 'error', error)
  else
    put_back(id, queue, entry)
    return 'queued'
  end
  delete_entries(queue, {entry})
  return stop or 'dead'
end

-- Tells of jobs that came back: those that ended, and those that wait again.
local function tell_back(ended, back)
  publish('ended', ended)
  publish('moved', back)
  if #back > 0 then ring() end
end

-- Running jobs left a lease; an empty lease goes.
local function leave_lease(lease, ids)
  redis.call('HINCRBY', COUNTS, 'running', -#ids)
  redis.call('HDEL', lease_key(lease), unpack(ids))
  if redis.call('HLEN', lease_key(lease)) <= LEASE_HEADER then
    redis.call('DEL', lease_key(lease))
    redis.call('ZREM', LEASES, lease)
  end
end

-- A waiting job ends at once, a running one is stopped by its worker, an ended one stays as it is. Whether it ended now.
local function stop_job(id, ttl_s, ending)
  local job = redis.call('HMGET', job_key(id), 'state', 'queue', 'entry', 'lease', 'stop')
  local state, queue, entry, lease = job[1], job[2], job[3], job[4]
  if state == 'queued' then
    end_job(id, now_ms(), ttl_s, ending)
    redis.call('XACK', queue_key(queue), GROUP, entry)
    delete_entries(queue, {entry})
    take_waiting(queue, 1)
    return true
  elseif state == 'running' and not job[5] then
    redis.call('HSET', job_key(id), 'stop', ending)
    local stop = redis.call('HGET', lease_key(lease), '@stop')
    redis.call('HSET', lease_key(lease), '@stop', stop == '' and id or stop .. ' ' .. id)
  end
end

local function all_waiting()
  local total = 0
  for _, queued in ipairs(redis.call('HMGET', COUNTS, 'queued:0', 'queued:1', 'queued:2')) do
    total = total + tonumber(queued or 0)
  end
  return total
end

-- How many jobs finish in a second: of all, or of a tenant, as `count_done` noted under a key.
local function rate_of(key, now)
  local counts = redis.call('HMGET', key, 'window', 'done', 'rate')
  local elapsed = now - tonumber(counts[1] or now)
  local rate = counts[3] or '0'
  if elapsed >= 1000 then rate = tostring(tonumber(counts[2]) * 1000 / elapsed) end
  return rate
end

local function count_done(key, now, number)
  local counts = redis.call('HMGET', key, 'window', 'done')
  local window, done = tonumber(counts[1] or 0), tonumber(counts[2] or 0)
  if now - window >= 1000 then
    redis.call('HSET', key, 'rate', done * 1000 / (now - window))
    window, done = now, 0
  end
  redis.call('HSET', key, 'window', window, 'done', done + number)
end

-- Why so many more jobs may not wait: what a script then answers; nothing when they may.
local function refusal(now, all, max_queued, tenants, max_tenant_queued)
  local waiting = all_waiting()
  if waiting + all > max_queued then return {'full', waiting, rate_of(COUNTS, now)} end
  for tenant, number in pairs(tenants) do
    local share = share_key(tenant)
    local queued = tonumber(redis.call('HGET', share, 'queued') or 0)
    if queued + number > max_tenant_queued then return {'tenant-full', queued, rate_of(share, now)} end
  end
end

local function tenant_of(key) return redis.call('HGET', key, 'tenant') or DEFAULT_TENANT end

-- Whether a job or a batch file is this tenant's; one that is unknown may be anybody's.
local function owns(tenant, key) return tenant_of(key) == tenant end

-- The same fields, in the same order, as records.py parses. A foreign job is read as one that is not there, in the same
-- steps, so that not even the time it takes tells the two apart.
local function read_record(id, tenant)
  local key = job_key(id)
  if not owns(tenant, key) then key = job_key('') end
  local record = redis.call('HMGET', key, 'state', 'kind', 'queue', 'tries', 'worker', 'device', 'progress',
    'made', 'began', 'ended', 'ran', 'result', 'error', 'seq', 'tenant', 'expires')
  record[#record + 1] = id
  return record
end

-- Every answer with records begins with what a place in the queue is computed from.
local function records_header() return {all_waiting(), redis.call('HGET', COUNTS, 'admitted')} end

-- A job that ended without success waits again; any other stays as it is. Whether it waits again.
local function queue_again(id)
  local AGAIN = {failed = true, cancelled = true, expired = true, dead = true}
  local job = redis.call('HMGET', job_key(id), 'state', 'queue', 'after', 'buried')
  local state, queue = job[1], job[2]
  if not AGAIN[state or ''] then return false end
  local file, tenant = file_of(id)
  if file then unlist(file, id, state) end
  if job[4] then exhume(id, tenant, job[4]) end
  redis.call('HDEL', job_key(id), 'lease', 'worker', 'device', 'began', 'ended', 'progress', 'stop', 'deaths', 'crashes',
    'ran', 'result', 'error', 'listed')
  redis.call('HSET', job_key(id), 'seq', redis.call('HINCRBY', COUNTS, 'admitted', 1))
  redis.call('PERSIST', job_key(id))
  if job[3] then set_deadline(id, job[3], now_ms() + job[3]) end -- it has its whole time again
  add_waiting(queue, enqueue(id, queue), 1)
  return true
end

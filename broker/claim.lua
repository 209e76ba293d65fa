#!lua flags=allow-oom
-- Takes a batch of jobs under a new lease: of the priority whose turn it is, the tenant that was served least, and of its
-- queues the one whose oldest job has waited longest.
-- A job whose deadline has passed ends instead.
-- ARGV: lease, worker, device, max_jobs, max_bytes, max_flops, lease_ms, linger_ms, result_ttl_s
-- Answers {queue, now, id, kind, spec, attempt, made, traceparent, tenant, id, ...}; or ms to linger; or nothing when there is
-- no work
local HIGH_IN_A_ROW, LOW_PASSED_OVER = 4, 8
local JOB_FLOPS = 1000000 -- what a job costs beside its flops: to move, load and store it takes as long
local lease, worker, device = ARGV[1], ARGV[2], ARGV[3]
local max_jobs, max_bytes, max_flops = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local linger_ms = tonumber(ARGV[8])
local now = now_ms()

local function append(answer, id, job)
  local fields = {id, job[1], job[2], tonumber(job[3]), tonumber(job[4]), job[5] or '', job[6] or DEFAULT_TENANT}
  for _, value in ipairs(fields) do answer[#answer + 1] = value end
end

-- The reply to this very claim was lost: the same jobs again.
local function again()
  local jobs, queue = held_by(lease)
  local answer = {queue, now}
  for _, job in ipairs(jobs) do
    append(answer, job[1], redis.call('HMGET', job_key(job[1]), 'kind', 'spec', 'tries', 'made', 'trace', 'tenant'))
  end
  return answer
end

-- Jobs that came back, then new ones: (entries in the order of admission, how many of them came back).
local function waiting_entries(stream)
  local entries, back = {}, 0
  local function read(count, ...)
    local reply = redis.pcall('XREADGROUP', 'GROUP', GROUP, BACK, 'COUNT', count, ...)
    if reply and reply.err then return false end
    for _, entry in ipairs(reply and reply[1][2] or {}) do entries[#entries + 1] = entry end
    return true
  end
  if not read(max_jobs, 'STREAMS', stream, '0') then return {}, 0 end
  back = #entries
  -- Without a pending entry for each: the lease says what runs, and so the pending list holds only what came back.
  if back < max_jobs then read(max_jobs - back, 'NOACK', 'STREAMS', stream, '>') end
  return entries, back
end

-- How many of the entries go together: {entry, id, job} of each taken, the entries of no use, and the jobs that expired.
local function choose(entries)
  local taken, lost, expired, bytes, flops = {}, {}, {}, 0, 0
  for _, entry in ipairs(entries) do
    local id = entry[2] and entry[2][2]
    local job = id and redis.call('HMGET', job_key(id), 'kind', 'spec', 'tries', 'made', 'trace', 'tenant', 'bytes',
      'flops', 'alone', 'file', 'expires')
    if not job or not job[1] then -- deleted by hand
      lost[#lost + 1] = entry[1]
    elseif job[11] and tonumber(job[11]) <= now then
      end_job(id, now, ARGV[9], 'expired')
      lost[#lost + 1], expired[#expired + 1] = entry[1], id
    else
      bytes, flops = bytes + tonumber(job[7]), flops + tonumber(job[8])
      if #taken > 0 and (bytes > max_bytes or flops > max_flops or job[9]) then break end
      taken[#taken + 1] = {entry[1], id, job}
      if job[9] then break end
    end
  end
  return taken, lost, expired
end

local function claim(queue, pay)
  local stream = queue_key(queue)
  local entries, back = waiting_entries(stream)
  local taken, lost, expired = choose(entries)
  for n, entry in ipairs(entries) do
    local read = n <= #taken + #lost
    if read and n <= back then redis.call('XACK', stream, GROUP, entry[1]) end
    if not read and n > back then redis.call('XCLAIM', stream, GROUP, BACK, 0, entry[1], 'FORCE', 'JUSTID') end
  end
  if #lost > 0 then delete_entries(queue, lost) end
  if #taken > 0 then pay(taken) end
  take_waiting(queue, #taken + #lost)
  publish('ended', expired)
  if #taken == 0 then return end

  local answer, held, ids, files = {queue, now}, {}, {}, {}
  for n, take in ipairs(taken) do
    local entry, id, job = unpack(take)
    job[3] = tonumber(job[3] or 0) + 1
    redis.call('HSET', job_key(id), 'state', 'running', 'lease', lease, 'worker', worker, 'device', device,
      'began', now, 'tries', job[3])
    if job[10] then files[job[10]] = (files[job[10]] or 0) + 1 end
    append(answer, id, job)
    held[2 * n - 1], held[2 * n], ids[n] = id, entry, id
  end
  redis.call('HSET', lease_key(lease), '@queue', queue, '@worker', worker, '@stop', '', unpack(held))
  redis.call('ZADD', LEASES, now + ARGV[7], lease)
  redis.call('HINCRBY', COUNTS, 'running', #ids)
  for file, number in pairs(files) do
    if redis.call('EXISTS', file_key(file)) == 1 then count_running(file, number) end
  end
  publish('moved', ids)
  return answer, #taken + #lost
end

-- Which priority is served: the highest that waits, but after HIGH_IN_A_ROW batches of high ones, when others wait too,
-- one of theirs, and a low one when it was passed over LOW_PASSED_OVER times. So low ones have a tenth of all batches.
-- Its rank, and what is to be remembered of the choice.
local function choose_rank(waiting, in_a_row, passed_over)
  local high, normal, low = waiting[1] > 0, waiting[2] > 0, waiting[3] > 0
  local rank = normal and 1 or low and 2 or 0
  if high and (in_a_row < HIGH_IN_A_ROW or not (normal or low)) then
    rank = 0
  elseif low and passed_over >= LOW_PASSED_OVER then
    rank = 2
  end
  return rank, rank == 0 and (normal or low) and in_a_row + 1 or 0, rank ~= 2 and low and passed_over + 1 or 0
end

if redis.call('EXISTS', lease_key(lease)) == 1 then return again() end
while true do
  local counts = redis.call('HMGET', COUNTS, 'queued:0', 'queued:1', 'queued:2', 'in_a_row', 'passed_over', 'served:0',
    'served:1', 'served:2')
  for n = 1, 8 do counts[n] = tonumber(counts[n] or 0) end
  local all = counts[1] + counts[2] + counts[3]
  if all == 0 then return end
  local rank, in_a_row, passed_over = choose_rank(counts, counts[4], counts[5])
  local tenant, served = unpack(redis.call('ZRANGE', ready_key(rank), 0, 0, 'WITHSCORES'))
  local queue, since = unpack(redis.call('ZRANGE', ready_queues_key(rank, tenant), 0, 0, 'WITHSCORES'))
  local linger = since + linger_ms - now
  if linger > 0 and all < max_jobs and tonumber(redis.call('HGET', WAITING, queue)) == all then return linger end

  -- The tenant pays for what it takes: whoever has paid least comes next.
  local function pay(taken)
    local cost = #taken * JOB_FLOPS
    for _, take in ipairs(taken) do cost = cost + take[3][8] end
    redis.call('ZINCRBY', ready_key(rank), cost, tenant)
    redis.call('HSET', COUNTS, 'served:' .. rank, math.max(served, counts[6 + rank]), 'in_a_row', in_a_row, 'passed_over',
      passed_over)
  end

  local answer, gone = claim(queue, pay)
  if answer then
    if all > gone then ring() end
    return answer
  end
end

#!lua flags=allow-oom
-- Takes the jobs of expired leases back: they wait again in their old places, alone after two deaths, and after
-- max_deliveries they are dead. ARGV: max_deliveries, result_ttl_s, error of a dead job, leases looked at in one call
-- Answers {number of leases that had expired, id that now waits again ...}
local DEATHS_BEFORE_ALONE = 2
local now = now_ms()
local back, ended = {}, {}

local function take_back(id, queue, entry)
  local deaths = redis.call('HINCRBY', job_key(id), 'deaths', 1)
  local stop = redis.call('HGET', job_key(id), 'stop')
  if stop then
    end_job(id, now, ARGV[2], stop)
  elseif deaths >= tonumber(ARGV[1]) then
    end_job(id, now, ARGV[2], 'dead', 'error', ARGV[3])
  else
    if deaths >= DEATHS_BEFORE_ALONE then redis.call('HSET', job_key(id), 'alone', 1) end
    put_back(id, queue, entry)
    back[#back + 1] = id
    return
  end
  delete_entries(queue, {entry})
  ended[#ended + 1] = id
end

local leases = redis.call('ZRANGE', LEASES, '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[4])
for _, lease in ipairs(leases) do
  local held = redis.call('HGETALL', lease_key(lease))
  local queue, jobs = redis.call('HGET', lease_key(lease), '@queue'), 0
  for i = 1, #held, 2 do
    if string.sub(held[i], 1, 1) ~= '@' then
      take_back(held[i], queue, held[i + 1])
      jobs = jobs + 1
    end
  end
  redis.call('HINCRBY', COUNTS, 'running', -jobs)
  redis.call('DEL', lease_key(lease))
  redis.call('ZREM', LEASES, lease)
end
publish('ended', ended)
publish('moved', back)
if #back > 0 then ring() end
return {#leases, unpack(back)}

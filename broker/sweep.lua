#!lua flags=allow-oom
-- Takes the jobs of expired leases back: they wait again in their old places, alone after two deaths, and after
-- max_deliveries they are dead. ARGV: max_deliveries, result_ttl_s, error of a dead job, leases looked at in one call
-- Answers {number of leases that had expired, id that now waits again ...}
local DEATHS_BEFORE_ALONE = 2
local max_deliveries, now = tonumber(ARGV[1]), now_ms()
local back, ended = {}, {}

local leases = redis.call('ZRANGE', LEASES, '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[4])
for _, lease in ipairs(leases) do
  local jobs, queue = held_by(lease)
  for _, job in ipairs(jobs) do
    local id, entry = unpack(job)
    local deaths = redis.call('HINCRBY', job_key(id), 'deaths', 1)
    if take_back(id, queue, entry, now, ARGV[2], deaths >= max_deliveries and ARGV[3]) == 'queued' then
      if deaths >= DEATHS_BEFORE_ALONE then redis.call('HSET', job_key(id), 'alone', 1) end
      back[#back + 1] = id
    else
      ended[#ended + 1] = id
    end
  end
  redis.call('HINCRBY', COUNTS, 'running', -#jobs)
  redis.call('DEL', lease_key(lease))
  redis.call('ZREM', LEASES, lease)
end
tell_back(ended, back)
return {#leases, unpack(back)}

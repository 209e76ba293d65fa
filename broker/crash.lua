#!lua flags=allow-oom
-- The process that ran a lease's jobs died, and its parent says so: they wait again in their old places, each to
-- run alone; a job that was so often among those whose process died is dead. A lease that ended changes nothing.
-- ARGV: lease, max_crashes, result_ttl_s, error of a dead job
-- Answers {number of jobs that now wait again, id that is dead ...}
local lease = ARGV[1]
local queue, now = redis.call('HGET', lease_key(lease), '@queue'), now_ms()
local held = redis.call('HGETALL', lease_key(lease))
local left, back, ended, dead = {}, {}, {}, {}

local function take_back(id, entry)
  local crashes = redis.call('HINCRBY', job_key(id), 'crashes', 1)
  redis.call('HSET', job_key(id), 'alone', 1)
  local stop = redis.call('HGET', job_key(id), 'stop')
  if stop then
    end_job(id, now, ARGV[3], stop)
  elseif crashes >= tonumber(ARGV[2]) then
    end_job(id, now, ARGV[3], 'dead', 'error', ARGV[4])
    dead[#dead + 1] = id
  else
    put_back(id, queue, entry)
    back[#back + 1] = id
    return
  end
  delete_entries(queue, {entry})
  ended[#ended + 1] = id
end

for i = 1, #held, 2 do
  if string.sub(held[i], 1, 1) ~= '@' then
    take_back(held[i], held[i + 1])
    left[#left + 1] = held[i]
  end
end
if #left > 0 then
  leave_lease(lease, left)
  redis.call('HINCRBY', COUNTS, 'running', -#left)
  publish('ended', ended)
  publish('moved', back)
end
if #back > 0 then ring() end
return {#back, unpack(dead)}

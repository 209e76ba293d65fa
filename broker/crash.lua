#!lua flags=allow-oom
-- The process that ran a lease's jobs died, and its parent says so: they wait again in their old places, each to
-- run alone; a job that was so often among those whose process died is dead. A lease that ended changes nothing.
-- ARGV: lease, max_crashes, result_ttl_s, error of a dead job
-- Answers {number of jobs that now wait again, id that is dead ...}
local lease, max_crashes, now = ARGV[1], tonumber(ARGV[2]), now_ms()
local jobs, queue = held_by(lease)
local left, back, ended, dead = {}, {}, {}, {}

for n, job in ipairs(jobs) do
  local id, entry = unpack(job)
  local crashes = redis.call('HINCRBY', job_key(id), 'crashes', 1)
  redis.call('HSET', job_key(id), 'alone', 1)
  local state = take_back(id, queue, entry, now, ARGV[3], crashes >= max_crashes and ARGV[4])
  local into = state == 'queued' and back or ended
  left[n], into[#into + 1] = id, id
  if state == 'dead' then dead[#dead + 1] = id end
end
if #left > 0 then leave_lease(lease, left) end
tell_back(ended, back)
return {#back, unpack(dead)}

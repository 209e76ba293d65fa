#!lua flags=allow-oom
-- Gives back jobs that a worker took and did not start: they wait in their old places and it counts as no delivery.
-- ARGV: lease, result_ttl_s, id ... Answers the ids that now wait again
local lease, ids = ARGV[1], {unpack(ARGV, 3)}
local held = redis.call('HMGET', lease_key(lease), '@queue', unpack(ids))
local queue, now = held[1], now_ms()
local left, back, ended = {}, {}, {}
for n, id in ipairs(ids) do
  local entry = held[n + 1]
  if entry then
    left[#left + 1] = id
    if take_back(id, queue, entry, now, ARGV[2]) == 'queued' then
      redis.call('HINCRBY', job_key(id), 'tries', -1)
      back[#back + 1] = id
    else
      ended[#ended + 1] = id
    end
  end
end
if #left > 0 then leave_lease(lease, left) end
tell_back(ended, back)
return back

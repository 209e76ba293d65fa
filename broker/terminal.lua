#!lua flags=no-writes
-- ARGV: id ... Answers those that have ended, and those of which there is no record: nobody need wait for them
local ended = {}
for _, id in ipairs(ARGV) do
  local job = redis.call('HMGET', job_key(id), 'state', 'ended')
  if job[2] or not job[1] then ended[#ended + 1] = id end
end
return ended

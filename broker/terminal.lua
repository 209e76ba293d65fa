#!lua flags=no-writes
-- ARGV: id ... Answers those that have ended
local ended = {}
for _, id in ipairs(ARGV) do
  if redis.call('HEXISTS', job_key(id), 'ended') == 1 then ended[#ended + 1] = id end
end
return ended

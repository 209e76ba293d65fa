#!lua flags=allow-oom
-- Ends the waiting jobs whose deadline has passed, and has the running ones stopped by their workers.
-- ARGV: result_ttl_s, deadlines looked at in one call
-- Answers {deadlines that had passed, ms until the next one, or -1 when there is none}
local now, ended = now_ms(), {}
local due = redis.call('ZRANGE', DEADLINES, '-inf', now, 'BYSCORE', 'LIMIT', 0, ARGV[2])
for _, id in ipairs(due) do
  if stop_job(id, ARGV[1], 'expired') then ended[#ended + 1] = id end
  redis.call('ZREM', DEADLINES, id)
end
publish('ended', ended)
local next_one = redis.call('ZRANGE', DEADLINES, 0, 0, 'WITHSCORES')
return {#due, next_one[2] and math.max(0, next_one[2] - now) or -1}

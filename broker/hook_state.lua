#!lua flags=no-writes
-- How the deliveries to an endpoint go. ARGV: endpoint, deliveries at most
-- Answers {number that wait, {delivered, abandoned, dropped, failing since}, of those that wait, the next first,
-- {message, event, tries, due} ..., of those that ended, the last first, text ...}
local hook = TAG .. 'hook:' .. ARGV[1]
local waiting = {}
local due = redis.call('ZRANGE', hook .. ':due', 0, ARGV[2] - 1, 'WITHSCORES')
for i = 1, #due, 2 do
  local message = due[i]
  waiting[#waiting + 1] = {message, redis.call('HGET', hook .. ':events', message),
    redis.call('HGET', hook .. ':tries', message) or '', due[i + 1]}
end
local counts = redis.call('HMGET', hook, 'delivered', 'abandoned', 'dropped', 'failing')
return {redis.call('ZCARD', hook .. ':due'), counts, waiting, redis.call('LRANGE', hook .. ':recent', 0, ARGV[2] - 1)}

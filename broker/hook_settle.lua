#!lua flags=allow-oom
-- Notes how a delivery went; one that nobody waits for any more changes nothing.
-- ARGV: endpoint, message, delivered | failed | abandoned, JSON of its tries, ms until the next, ended ones that are kept
local endpoint, message, outcome = ARGV[1], ARGV[2], ARGV[3]
local hook = TAG .. 'hook:' .. endpoint
local event = redis.call('HGET', hook .. ':events', message)
if not event then return end
if outcome == 'delivered' then
  redis.call('HDEL', hook, 'failing')
else
  redis.call('HSETNX', hook, 'failing', now_ms())
end
if outcome == 'failed' then
  redis.call('HSET', hook .. ':tries', message, ARGV[4])
  redis.call('ZADD', hook .. ':due', now_ms() + ARGV[5], message)
  return
end
redis.call('ZREM', hook .. ':due', message)
redis.call('HDEL', hook .. ':events', message)
redis.call('HDEL', hook .. ':tries', message)
redis.call('LPUSH', hook .. ':recent', message .. ' ' .. event .. ' ' .. ARGV[4])
redis.call('LTRIM', hook .. ':recent', 0, ARGV[6] - 1)
redis.call('HINCRBY', hook, outcome, 1)
redis.call('HINCRBY', COUNTS, 'deliveries', -1)
if outcome == 'abandoned' then redis.call('HINCRBY', COUNTS, 'undelivered', 1) end

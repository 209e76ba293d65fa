#!lua flags=allow-oom
-- A process is done with an endpoint for now, unless its lease ended before. ARGV: endpoint, end of the lease
local endpoint, hook = ARGV[1], TAG .. 'hook:' .. ARGV[1]
local lease = redis.call('HGET', hook, 'lease')
if lease and lease ~= ARGV[2] then return end
redis.call('HDEL', hook, 'lease')
local next = redis.call('ZRANGE', hook .. ':due', 0, 0, 'WITHSCORES')
if next[1] then
  redis.call('ZADD', TAG .. 'hooks-due', next[2], endpoint)
else
  redis.call('ZREM', TAG .. 'hooks-due', endpoint)
end

#!lua flags=allow-oom
-- A worker says that it is alive. ARGV: worker, device, running, done, how long it is believed (ms)
local worker, now = ARGV[1], now_ms()
local key = TAG .. 'worker:' .. worker
redis.call('HSETNX', key, 'started', now)
redis.call('HSET', key, 'device', ARGV[2], 'running', ARGV[3], 'done', ARGV[4], 'seen', now)
redis.call('PEXPIRE', key, ARGV[5])
redis.call('ZADD', TAG .. 'workers', now + ARGV[5], worker)
redis.call('ZREMRANGEBYSCORE', TAG .. 'workers', '-inf', now)

#!lua flags=allow-oom
-- A worker says goodbye. ARGV: worker
redis.call('DEL', TAG .. 'worker:' .. ARGV[1])
redis.call('ZREM', TAG .. 'workers', ARGV[1])

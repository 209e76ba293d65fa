#!lua flags=allow-oom
-- Has a batch file cancelled that has not ended: its lines one after another, by file_cancel. ARGV: file, tenant
local key = file_key(ARGV[1])
local fields = redis.call('HMGET', key, 'left', 'stop')
if owns(ARGV[2], key) and fields[1] and fields[1] ~= '0' and not fields[2] then
  redis.call('HSET', key, 'stop', 1)
  redis.call('ZADD', TAG .. 'admitting', now_ms(), ARGV[1])
end

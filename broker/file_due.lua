#!lua flags=allow-oom
-- Takes the batch file whose work is due, so that nobody else goes on with it for a while. ARGV: ms
-- Answers {file, tenant, priority, total, admitted, offset, swept, whether it is to be cancelled}, or nothing
local now = now_ms()
local due = redis.call('ZRANGE', TAG .. 'admitting', '-inf', now, 'BYSCORE', 'LIMIT', 0, 1)
local file = due[1]
if not file then return end
redis.call('ZADD', TAG .. 'admitting', now + ARGV[1], file)
local fields = redis.call('HMGET', file_key(file), 'total', 'admitted', 'offset', 'swept', 'stop')
for n = 1, 5 do fields[n] = tonumber(fields[n] or 0) end
return {file, tenant_of(file_key(file)), redis.call('HGET', file_key(file), 'priority'), unpack(fields)}

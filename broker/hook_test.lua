#!lua
-- Queues an event of its own for an endpoint. ARGV: endpoint, event, kind. Answers {message, event}, or nothing when too
-- many wait
local now = now_ms()
local message = deliver(ARGV[1], ARGV[2], ARGV[1], ARGV[3], now)
if message then return {message, redis.call('HGET', TAG .. 'hook:' .. ARGV[1] .. ':events', message)} end

#!lua flags=allow-oom
-- Gives one service process the endpoint whose delivery has been due for longest, and what is due there; of one that
-- fails a single delivery, so that it holds up nobody. ARGV: lease_ms, deliveries at most
-- Answers {endpoint, tenant, version, now, end of the lease, failing since or '', message, event, tries ...}, or nothing
local now = now_ms()
local endpoint = redis.call('ZRANGE', TAG .. 'hooks-due', '-inf', now, 'BYSCORE', 'LIMIT', 0, 1)[1]
if not endpoint then return end
local hook, ends = TAG .. 'hook:' .. endpoint, now + ARGV[1]
local state = redis.call('HMGET', hook, 'tenant', 'version', 'failing')
local most = state[3] and 1 or ARGV[2]
redis.call('HSET', hook, 'lease', ends)
redis.call('ZADD', TAG .. 'hooks-due', ends, endpoint)
local answer = {endpoint, state[1] or '', tonumber(state[2] or 0), now, ends, state[3] or ''}
for _, message in ipairs(redis.call('ZRANGE', hook .. ':due', '-inf', now, 'BYSCORE', 'LIMIT', 0, most)) do
  answer[#answer + 1] = message
  answer[#answer + 1] = redis.call('HGET', hook .. ':events', message)
  answer[#answer + 1] = redis.call('HGET', hook .. ':tries', message) or ''
end
return answer

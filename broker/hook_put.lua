#!lua
-- Makes a version of a registration count, unless a later one does; one without events, or disabled, takes none.
-- ARGV: endpoint, tenant, version, the events with a space before and after each, or '' when it is disabled
-- Answers 1 when it was not the one that counted before
local endpoint, tenant, version, events = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local hook, of_tenant = TAG .. 'hook:' .. endpoint, TAG .. 'hooks:' .. tenant
if version <= tonumber(redis.call('HGET', hook, 'version') or 0) then return 0 end
redis.call('HSET', hook, 'tenant', tenant, 'version', version)
if events == '' then
  abandon(endpoint)
  redis.call('HDEL', of_tenant, endpoint)
  if redis.call('EXISTS', of_tenant) == 0 then redis.call('SREM', TAG .. 'hooks', tenant) end
else
  if redis.call('HEXISTS', of_tenant, endpoint) == 0 then redis.call('HDEL', hook, 'failing') end
  redis.call('HSET', of_tenant, endpoint, events)
  redis.call('SADD', TAG .. 'hooks', tenant)
end
return 1

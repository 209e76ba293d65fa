#!lua flags=allow-oom
-- Forgets an endpoint and all that waits for it. ARGV: endpoint, tenant
local endpoint, tenant = ARGV[1], ARGV[2]
local hook, of_tenant = TAG .. 'hook:' .. endpoint, TAG .. 'hooks:' .. tenant
abandon(endpoint)
redis.call('DEL', hook, hook .. ':recent')
redis.call('HDEL', of_tenant, endpoint)
if redis.call('EXISTS', of_tenant) == 0 then redis.call('SREM', TAG .. 'hooks', tenant) end

#!lua
-- Notes how far a running job is. ARGV: lease, id, fraction, result_ttl_s, events kept. Answers 1, or 0 when lost
local lease, id, fraction = ARGV[1], ARGV[2], ARGV[3]
if redis.call('HEXISTS', lease_key(lease), id) == 0 then return 0 end
local events = TAG .. 'progress:' .. id
redis.call('HSET', job_key(id), 'progress', fraction)
redis.call('XADD', events, 'MAXLEN', '~', ARGV[5], '*', 'f', fraction)
redis.call('EXPIRE', events, ARGV[4])
publish('moved', {id})
return 1

#!lua flags=allow-oom
-- Prolongs a lease. ARGV: lease, lease_ms. Answers the ids to stop, joined by spaces; or nothing when it is lost
local stop = redis.call('HGET', lease_key(ARGV[1]), '@stop')
if stop then redis.call('ZADD', LEASES, 'XX', now_ms() + ARGV[2], ARGV[1]) end
return stop

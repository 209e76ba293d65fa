#!lua flags=allow-oom
-- Leases tokens of a bucket that fills by the second. Sent twice it leases twice, and its sender may do less.
-- ARGV: bucket, tokens a second, most that it holds, how many are wanted
-- Answers {tokens leased, ms until there is one when there is none}
local key, rate, most, wanted = TAG .. 'rate:' .. ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local now = now_ms()
local bucket = redis.call('HMGET', key, 'tokens', 'at')
local passed = math.max(0, now - tonumber(bucket[2] or now))
local tokens = math.min(most, tonumber(bucket[1] or most) + passed * rate / 1000)
local leased = math.min(wanted, math.floor(tokens))
redis.call('HSET', key, 'tokens', tokens - leased, 'at', now)
redis.call('PEXPIRE', key, math.ceil(most / rate * 1000) + 1000)
return {leased, leased > 0 and 0 or math.ceil((1 - tokens) * 1000 / rate)}

#!lua flags=allow-oom
-- Drops jobs whose records have expired from the index of the tenant whose turn it is.
-- ARGV: result_ttl_s, entries looked at in one call, ms until an index that was looked through has its turn again
-- Answers 1 when there may be more to look at
local turn = redis.call('ZRANGE', TRIMMING, '-inf', now_ms(), 'BYSCORE', 'LIMIT', 0, 1)
local tenant = turn[1]
if not tenant then return 0 end
local index = index_key(tenant)
local place = TAG .. 'trim' .. of_tenant(tenant)
local from = redis.call('GET', place) or '-'
local entries = redis.call('XRANGE', index, from, now_ms() - ARGV[1] * 1000, 'COUNT', ARGV[2])
for _, entry in ipairs(entries) do
  if redis.call('EXISTS', job_key(entry[2][2])) == 0 then redis.call('XDEL', index, entry[1]) end
end
if #entries == tonumber(ARGV[2]) then
  redis.call('SET', place, '(' .. entries[#entries][1])
  redis.call('ZADD', TRIMMING, now_ms(), tenant)
  return 1
end
redis.call('DEL', place)
redis.call('ZADD', TRIMMING, now_ms() + ARGV[3], tenant)
if redis.call('XLEN', index) == 0 then
  redis.call('DEL', index)
  redis.call('ZREM', TRIMMING, tenant)
end
return 1

#!lua
-- Begins a batch file whose lines are in the store; a known idempotency key is answered with its file.
-- ARGV: file, total, print, key (with its tenant), idempotency_ttl_s, max_queued, number of old files looked at, tenant,
-- cancel_after_ms or 0, priority, max_tenant_queued
-- Answers {'ok'} or {'known', file} or {'conflict'} or {'full' or 'tenant-full', queued, done per second}
local file, total, print, key = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local tenant, files, after_ms = ARGV[8], files_key(ARGV[8]), ARGV[9]
local now = now_ms()
local name = TAG .. 'idempotency-file:' .. key
local earlier = key ~= '' and redis.call('GET', name)
local earlier_print = earlier and redis.call('HGET', file_key(earlier), 'print')
if earlier_print then
  if earlier_print ~= print then return {'conflict'} end
  return {'known', earlier}
end
if redis.call('EXISTS', file_key(file)) == 1 then return {'known', file} end -- the reply to this very call was lost
local refused = refusal(now, total, tonumber(ARGV[6]), {[tenant] = total}, tonumber(ARGV[11]))
if refused then return refused end

redis.call('HSET', file_key(file), 'print', print, 'made', now, 'total', total, 'left', total, 'running', 0,
  'admitted', 0, 'offset', 0, 'swept', 0, 'tenant', tenant, 'priority', ARGV[10])
if after_ms ~= '0' then redis.call('HSET', file_key(file), 'after', after_ms, 'expires', now + after_ms) end
redis.call('ZADD', TAG .. 'admitting', now, file)
if key ~= '' then redis.call('SET', name, file, 'EX', ARGV[5]) end
for _, entry in ipairs(redis.call('XRANGE', files, '-', '+', 'COUNT', ARGV[7])) do
  if redis.call('EXISTS', file_key(entry[2][2])) == 0 then redis.call('XDEL', files, entry[1]) end
end
redis.call('XADD', files, '*', 'i', file)
return {'ok'}

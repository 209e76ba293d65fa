#!lua flags=allow-oom
-- Drops from the index jobs whose records have expired. ARGV: result_ttl_s, entries looked at in one call
-- Answers 1 when there are more to look at
local index, place = TAG .. 'index', TAG .. 'trim'
local from = redis.call('GET', place) or '-'
local entries = redis.call('XRANGE', index, from, now_ms() - ARGV[1] * 1000, 'COUNT', ARGV[2])
for _, entry in ipairs(entries) do
  if redis.call('EXISTS', job_key(entry[2][2])) == 0 then redis.call('XDEL', index, entry[1]) end
end
if #entries < tonumber(ARGV[2]) then
  redis.call('DEL', place)
  return 0
end
redis.call('SET', place, '(' .. entries[#entries][1])
return 1

#!lua flags=no-writes
-- One page of a tenant's jobs, newest first. ARGV: cursor or '+', limit, state or '', entries looked at in one call,
-- tenant
-- Answers {queued and admitted, next cursor or '', record ...}
local from, limit, state, look = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local tenant = ARGV[5]
if from ~= '+' then from = '(' .. from end
local entries = redis.call('XREVRANGE', state == 'dead' and dead_key(tenant) or index_key(tenant), from, '-', 'COUNT', look)
local answer, cursor = {records_header(), ''}, ''
for n, entry in ipairs(entries) do
  if #answer - 2 == limit then break end
  local record = read_record(entry[2][2], tenant)
  if record[1] and (state == '' or record[1] == state) then answer[#answer + 1] = record end
  cursor = entry[1]
end
if #entries == look or (#entries > 0 and cursor ~= entries[#entries][1]) then answer[2] = cursor end
return answer

#!lua flags=no-writes
-- Some batch files of a tenant as they are, or one page of all of its own, newest first.
-- ARGV: tenant, then cursor or '+' and limit, or else '' and file ...
-- Answers {next cursor or '', record ...}; a file that is unknown has a record without numbers
local FIELDS = {'made', 'total', 'left', 'running', 'succeeded', 'failed', 'cancelled', 'expired', 'dead', 'stop', 'ended',
  'expires', 'priority'}
local answer, tenant = {''}, ARGV[1]

local function read(file)
  local key = file_key(file)
  if not owns(tenant, key) then key = file_key('') end -- as read_record does
  local record = redis.call('HMGET', key, unpack(FIELDS))
  record[#FIELDS + 1] = file
  return record
end

if ARGV[2] == '' then
  for i = 3, #ARGV do answer[i - 1] = read(ARGV[i]) end
  return answer
end
local from = ARGV[2] == '+' and '+' or '(' .. ARGV[2]
local entries = redis.call('XREVRANGE', files_key(tenant), from, '-', 'COUNT', ARGV[3])
for _, entry in ipairs(entries) do
  local record = read(entry[2][2])
  if record[1] then answer[#answer + 1] = record end
end
if #entries == tonumber(ARGV[3]) then answer[1] = entries[#entries][1] end
return answer

#!lua flags=no-writes
-- Some batch files as they are, or one page of all, newest first. ARGV: cursor, '+' or '', then limit or else file ...
-- Answers {next cursor or '', record ...}; a file that is unknown has a record without numbers
local FIELDS = {'made', 'total', 'left', 'running', 'succeeded', 'failed', 'cancelled', 'expired', 'dead', 'stop', 'ended'}
local answer = {''}

local function read(file)
  local record = redis.call('HMGET', file_key(file), unpack(FIELDS))
  record[#FIELDS + 1] = file
  return record
end

if ARGV[1] == '' then
  for i = 2, #ARGV do answer[i] = read(ARGV[i]) end
  return answer
end
local from = ARGV[1] == '+' and '+' or '(' .. ARGV[1]
local entries = redis.call('XREVRANGE', TAG .. 'files', from, '-', 'COUNT', ARGV[2])
for _, entry in ipairs(entries) do
  local record = read(entry[2][2])
  if record[1] then answer[#answer + 1] = record end
end
if #entries == tonumber(ARGV[2]) then answer[1] = entries[#entries][1] end
return answer

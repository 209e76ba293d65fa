#!lua flags=no-writes
-- ARGV: id ... Answers {queued and admitted, record ...}
local answer = {records_header()}
for n, id in ipairs(ARGV) do answer[n + 1] = read_record(id) end
return answer

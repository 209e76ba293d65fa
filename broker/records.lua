#!lua flags=no-writes
-- ARGV: tenant, id ... Answers {queued and admitted, record ...}
local answer = {records_header()}
for n = 2, #ARGV do answer[n] = read_record(ARGV[n], ARGV[1]) end
return answer

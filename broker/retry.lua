#!lua
-- Queues a job again that ended without success; leaves any other as it is. ARGV: id, tenant
-- Answers {queued, admitted, record}
local id, tenant = ARGV[1], ARGV[2]
if owns(tenant, job_key(id)) and queue_again(id) then
  publish('moved', {id})
  ring()
end
return {records_header(), read_record(id, tenant)}

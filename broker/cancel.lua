#!lua flags=allow-oom
-- Cancels a waiting job at once; has a running one stopped by its worker; leaves an ended one as it is.
-- ARGV: id, result_ttl_s, tenant. Answers {queued, admitted, record}
local id = ARGV[1]
if owns(ARGV[3], job_key(id)) and stop_job(id, ARGV[2], 'cancelled') then publish('ended', {id}) end
return {records_header(), read_record(id, ARGV[3])}

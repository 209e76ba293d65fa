#!lua flags=allow-oom
-- Cancels a waiting job at once; has a running one stopped by its worker; leaves an ended one as it is.
-- ARGV: id, result_ttl_s, tenant. Answers {queued, admitted, record}
if owns(ARGV[3], job_key(ARGV[1])) then cancel_job(ARGV[1], ARGV[2]) end
return {records_header(), read_record(ARGV[1], ARGV[3])}

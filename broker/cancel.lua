#!lua flags=allow-oom
-- Cancels a waiting job at once; has a running one stopped by its worker; leaves an ended one as it is.
-- ARGV: id, result_ttl_s. Answers {queued, admitted, record}
cancel_job(ARGV[1], ARGV[2])
return {records_header(), read_record(ARGV[1])}

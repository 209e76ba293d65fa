#!lua flags=allow-oom
-- Cancels jobs of a batch file. ARGV: file, lines swept with these, result_ttl_s, id ...
for i = 4, #ARGV do cancel_job(ARGV[i], ARGV[3]) end
redis.call('HSET', file_key(ARGV[1]), 'swept', ARGV[2])

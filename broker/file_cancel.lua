#!lua flags=allow-oom
-- Cancels jobs of a batch file. ARGV: file, lines swept with these, result_ttl_s, id ...
local ended = {}
for i = 4, #ARGV do
  if stop_job(ARGV[i], ARGV[3], 'cancelled') then ended[#ended + 1] = ARGV[i] end
end
publish('ended', ended)
redis.call('HSET', file_key(ARGV[1]), 'swept', ARGV[2])

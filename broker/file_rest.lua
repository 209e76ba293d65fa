#!lua flags=allow-oom
-- A step of a batch file's work is over. ARGV: file, ms until the next
-- Answers 1 when nothing is left to do: all lines are jobs, and all are cancelled if that was asked for
local file, fields = ARGV[1], redis.call('HMGET', file_key(ARGV[1]), 'total', 'admitted', 'swept', 'stop')
if fields[1] == fields[2] and (not fields[4] or fields[3] == fields[1]) then
  redis.call('ZREM', TAG .. 'admitting', file)
  return 1
end
redis.call('ZADD', TAG .. 'admitting', 'XX', now_ms() + ARGV[2], file)
return 0

#!lua flags=no-writes
-- Answers {queued, running, ms that the oldest waiting job has waited, jobs that ever died, and that ever expired}
local counts = redis.call('HMGET', COUNTS, 'queued', 'running', 'dead', 'expired')
local oldest = redis.call('ZRANGE', READY, 0, 0, 'WITHSCORES')[2]
return {tonumber(counts[1] or 0), tonumber(counts[2] or 0), oldest and math.max(0, now_ms() - oldest) or 0,
  tonumber(counts[3] or 0), tonumber(counts[4] or 0)}

#!lua flags=no-writes
-- Answers {high jobs that wait, normal ones, low ones, jobs that run, ms that the oldest waiting job has waited, jobs
-- that ever died, and that ever expired}
local now, oldest = now_ms(), nil
for _, rank in ipairs(RANKS) do
  for _, tenant in ipairs(redis.call('ZRANGE', ready_key(rank), 0, -1)) do
    local since = redis.call('ZRANGE', ready_queues_key(rank, tenant), 0, 0, 'WITHSCORES')[2]
    oldest = math.min(oldest or now, since or now)
  end
end
local answer = redis.call('HMGET', COUNTS, 'queued:0', 'queued:1', 'queued:2', 'running', 'dead', 'expired')
for n = 1, 6 do answer[n] = tonumber(answer[n] or 0) end
table.insert(answer, 5, oldest and now - oldest or 0)
return answer

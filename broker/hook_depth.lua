#!lua flags=no-writes
-- Answers {deliveries that wait, events given up or dropped, ms for which the oldest delivery has been due at an endpoint
-- that does not fail, endpoints that fail}
local LOOKED_AT = 500
local counts = redis.call('HMGET', COUNTS, 'deliveries', 'undelivered')
local now = now_ms()
local since, failing = now, 0
for _, endpoint in ipairs(redis.call('ZRANGE', TAG .. 'hooks-due', 0, LOOKED_AT - 1)) do
  local hook = TAG .. 'hook:' .. endpoint
  if redis.call('HEXISTS', hook, 'failing') == 1 then
    failing = failing + 1
  else
    local first = redis.call('ZRANGE', hook .. ':due', 0, 0, 'WITHSCORES')
    since = math.min(since, tonumber(first[2] or now))
  end
end
return {tonumber(counts[1] or 0), tonumber(counts[2] or 0), now - since, failing}

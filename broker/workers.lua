#!lua flags=no-writes
-- Answers {name, device, started, seen, running, done} of each worker that is alive
local answer = {}
for _, name in ipairs(redis.call('ZRANGE', TAG .. 'workers', now_ms(), '+inf', 'BYSCORE')) do
  local worker = redis.call('HMGET', TAG .. 'worker:' .. name, 'device', 'started', 'seen', 'running', 'done')
  if worker[1] then answer[#answer + 1] = {name, unpack(worker)} end
end
return answer

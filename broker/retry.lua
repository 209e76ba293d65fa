#!lua
-- Queues a job again that ended without success; leaves any other as it is. ARGV: id, tenant
-- Answers {queued, admitted, record}
local id, tenant = ARGV[1], ARGV[2]
local AGAIN = {failed = true, cancelled = true, expired = true, dead = true}
local job = redis.call('HMGET', job_key(id), 'state', 'queue', 'after')
local state, queue = job[1], job[2]
if AGAIN[state or ''] and owns(tenant, job_key(id)) then
  local file = file_of(id)
  if file then unlist(file, id, state) end
  redis.call('HDEL', job_key(id), 'lease', 'worker', 'device', 'began', 'ended', 'progress', 'stop', 'deaths', 'crashes',
    'ran', 'result', 'error', 'listed')
  redis.call('HSET', job_key(id), 'seq', redis.call('HINCRBY', COUNTS, 'admitted', 1))
  redis.call('PERSIST', job_key(id))
  if job[3] then set_deadline(id, job[3], now_ms() + job[3]) end -- it has its whole time again
  add_waiting(queue, enqueue(id, queue), 1)
  publish('moved', {id})
  ring()
end
return {records_header(), read_record(id, tenant)}

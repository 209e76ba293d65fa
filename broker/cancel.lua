#!lua flags=allow-oom
-- Cancels a waiting job at once; has a running one stopped by its worker; leaves an ended one as it is.
-- ARGV: id, result_ttl_s. Answers {queued, admitted, record}
local id = ARGV[1]
local job = redis.call('HMGET', job_key(id), 'state', 'batch', 'entry', 'lease', 'stop')
local state, batch, entry, lease = job[1], job[2], job[3], job[4]
if state == 'queued' then
  end_job(id, now_ms(), ARGV[2], 'cancelled')
  redis.call('XACK', queue_key(batch), GROUP, entry)
  redis.call('XDEL', queue_key(batch), entry)
  take_waiting(batch, 1)
  if redis.call('XLEN', queue_key(batch)) == 0 then redis.call('DEL', queue_key(batch)) end
  publish('ended', {id})
elseif state == 'running' and not job[5] then
  redis.call('HSET', job_key(id), 'stop', 1)
  local stop = redis.call('HGET', lease_key(lease), '@stop')
  redis.call('HSET', lease_key(lease), '@stop', stop == '' and id or stop .. ' ' .. id)
end
return {records_header(), read_record(id)}

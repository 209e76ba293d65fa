#!lua flags=allow-oom
-- Ends jobs of one lease; a job that the lease no longer holds is refused and stays as it is.
-- ARGV: lease, result_ttl_s, then for each job: id, state, result, error, ran
-- Answers the numbers of the jobs that were refused
local STRIDE = 5
local lease, ttl_s = ARGV[1], ARGV[2]
local now = now_ms()
local ids, refused, accepted, entries = {}, {}, {}, {}
for i = 3, #ARGV, STRIDE do ids[#ids + 1] = ARGV[i] end
local held = redis.call('HMGET', lease_key(lease), '@queue', unpack(ids))

-- The reply to this very finish was lost.
local function ended_here(id)
  local job = redis.call('HMGET', job_key(id), 'lease', 'ended')
  return job[1] == lease and job[2]
end

for n, id in ipairs(ids) do
  local entry, i = held[n + 1], 3 + (n - 1) * STRIDE
  if entry then
    local state = ARGV[i + 1]
    if state == 'succeeded' then
      -- Only a retry needs the spec, and a success is not retried.
      end_job(id, now, ttl_s, state, 'ran', ARGV[i + 4], 'result', ARGV[i + 2], 'spec', '')
    else
      -- A worker stops for a deadline as for a cancellation, and does not know which it was.
      if state == 'cancelled' then state = redis.call('HGET', job_key(id), 'stop') or state end
      end_job(id, now, ttl_s, state, 'ran', ARGV[i + 4], 'error', ARGV[i + 3])
    end
    accepted[#accepted + 1] = id
    entries[#entries + 1] = entry
  elseif not ended_here(id) then
    refused[#refused + 1] = n - 1
  end
end

if #accepted > 0 then
  delete_entries(held[1], entries)
  leave_lease(lease, accepted)
  local _, tenant = rank_and_tenant(held[1])
  count_done(COUNTS, now, #accepted)
  count_done(share_key(tenant), now, #accepted)
  publish('ended', accepted)
end
return refused

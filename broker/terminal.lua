#!lua flags=no-writes
-- ARGV: tenant or '' for any, id ... Answers those that have ended, and those of which the tenant has no record: nobody
-- need wait for them
local tenant, ended = ARGV[1], {}
for n = 2, #ARGV do
  local job = redis.call('HMGET', job_key(ARGV[n]), 'state', 'ended', 'tenant')
  local foreign = tenant ~= '' and (job[3] or DEFAULT_TENANT) ~= tenant
  if job[2] or not job[1] or foreign then ended[#ended + 1] = ARGV[n] end
end
return ended

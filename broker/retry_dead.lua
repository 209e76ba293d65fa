#!lua
-- Queues a tenant's dead jobs again, the oldest first. ARGV: tenant, how many at most
-- Answers {number looked at, number that wait again}
local list, again = dead_key(ARGV[1]), {}
local entries = redis.call('XRANGE', list, '-', '+', 'COUNT', ARGV[2])
for _, entry in ipairs(entries) do
  local id = entry[2][2]
  if queue_again(id) then again[#again + 1] = id else redis.call('XDEL', list, entry[1]) end
end
if #entries > 0 and redis.call('XLEN', list) == 0 then redis.call('DEL', list) end
publish('moved', again)
if #again > 0 then ring() end
return {#entries, #again}

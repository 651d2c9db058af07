-- Count a request of an address.
-- KEYS[1] its requests of the last minute (hash: unix second -> count)
-- ARGV[1] most a minute   ARGV[2] now, unix seconds (tests only, may be left out)
-- Returns seconds until there may be room again, 0 = let it in. A refused request is not counted. A second counts until it
-- is wholly outside the last 60 s, so there are never more than the limit in any rolling minute.
local call = redis.call
local now = tonumber(ARGV[2]) or tonumber(call("TIME")[1])
local all = call("HGETALL", KEYS[1])
local sum, oldest, gone = 0, now, {}
for i = 1, #all, 2 do
  local second, count = tonumber(all[i]), tonumber(all[i + 1])
  if second > now then  -- the server's clock was set back: it counts as of now, and not for ever
    call("HINCRBY", KEYS[1], now, count)
    gone[#gone + 1] = all[i]
    sum = sum + count
  elseif second < now - 60 then
    gone[#gone + 1] = all[i]
  else
    sum = sum + count
    if second < oldest then oldest = second end
  end
end
if #gone > 0 then call("HDEL", KEYS[1], unpack(gone)) end
if sum >= tonumber(ARGV[1]) then return oldest + 61 - now end
call("HINCRBY", KEYS[1], now, 1)
call("EXPIRE", KEYS[1], 62)
return 0

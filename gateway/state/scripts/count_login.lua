-- Count a try to log in, for its address and its account, unless one of them has to wait.
-- KEYS[1] tries that were not forgiven (hash: who -> unix ms of each, oldest first, a space between)
-- KEYS[2] when each of them is forgotten (zset: who -> unix ms)
-- ARGV[1] most of them to remember   ARGV[2] now, unix ms (tests only, else empty)
-- then for each: who, most tries, in how many ms, "1" if they may have to wait
-- Returns {0, 0} counted; {n, ms} the n-th of them has to wait so long, nothing is counted.
local call = redis.call
local now = tonumber(ARGV[2])
if not now then
  local time = call("TIME")
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end

local function forget(names)
  if #names > 0 then
    call("HDEL", KEYS[1], unpack(names))
    call("ZREM", KEYS[2], unpack(names))
  end
end
forget(call("ZRANGEBYSCORE", KEYS[2], "-inf", now, "LIMIT", 0, 100))

local counted = {}
for i = 3, #ARGV, 4 do
  local most, window = tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  local times = {}
  for at in string.gmatch(call("HGET", KEYS[1], ARGV[i]) or "", "%d+") do
    at = math.min(tonumber(at), now)  -- the server's clock may have been set back
    if at > now - window then times[#times + 1] = string.format("%.0f", at) end
  end
  if #times >= most and ARGV[i + 3] == "1" then return {(i + 1) / 4, times[1] + window - now} end
  times[#times + 1] = string.format("%.0f", now)
  if #times > most then table.remove(times, 1) end
  counted[i] = table.concat(times, " ")
end
for i = 3, #ARGV, 4 do
  call("HSET", KEYS[1], ARGV[i], counted[i])
  call("ZADD", KEYS[2], now + tonumber(ARGV[i + 2]), ARGV[i])
end
local over = call("ZCARD", KEYS[2]) - tonumber(ARGV[1])
if over > 0 then forget(call("ZRANGE", KEYS[2], 0, over - 1)) end
return {0, 0}

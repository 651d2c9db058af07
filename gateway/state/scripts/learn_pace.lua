-- Note how far apart requests to a connection must start for a while, as its provider's own headers say.
-- KEYS[1] the connection's pace (hash: g = last start, ms; lg, lu = learned gap and until when, ms)
-- ARGV[1] least gap, ms, 0 = forget what was learned   ARGV[2] for how long, ms
-- ARGV[3] "1" when nothing is left: then the gap counts from now, else from the last start where one is known
-- ARGV[4] now, unix ms (tests only)
-- Returns 1.
if tonumber(ARGV[1]) == 0 then
  redis.call("HDEL", KEYS[1], "lg", "lu")
  return 1
end
local now = tonumber(ARGV[4])
if not now then
  local time = redis.call("TIME")
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
redis.call(ARGV[3] == "1" and "HSET" or "HSETNX", KEYS[1], "g", now)
redis.call("HSET", KEYS[1], "lg", ARGV[1], "lu", now + tonumber(ARGV[2]))
redis.call("EXPIRE", KEYS[1], 3600)
return 1

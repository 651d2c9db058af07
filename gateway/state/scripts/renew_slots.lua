-- Say which requests of a worker still run at a connection: its count would be forgotten otherwise. It also charges
-- what was started while the server was away, so a server that was restarted, or missed something, knows again.
-- KEYS[1] the connection's starts by second (hash)   KEYS[2] its open requests (hash: c:<worker>, u:<worker>)
-- KEYS[3] hold ids of this worker that are open there (set)
-- ARGV[1] worker   ARGV[2] lifetime of a count, s   ARGV[3] ids that are open, separated by spaces
-- ARGV[4] ids that were asked for and not answered: they stay if they are there
-- ARGV[5] starts to charge: "<seconds ago>:<count> ..."   ARGV[6] now, unix ms (tests only)
-- Returns how many are open.
local now = tonumber(ARGV[6])
if not now then
  local time = redis.call("TIME")
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local kept = {}
for id in string.gmatch(ARGV[4], "%S+") do
  if redis.call("SISMEMBER", KEYS[3], id) == 1 then kept[#kept + 1] = id end
end
redis.call("DEL", KEYS[3])
for _, id in ipairs(kept) do redis.call("SADD", KEYS[3], id) end
for id in string.gmatch(ARGV[3], "%S+") do redis.call("SADD", KEYS[3], id) end
local open = redis.call("SCARD", KEYS[3])
if open > 0 then
  redis.call("EXPIRE", KEYS[3], ARGV[2])
  redis.call("HSET", KEYS[2], "c:" .. ARGV[1], open, "u:" .. ARGV[1], now + tonumber(ARGV[2]) * 1000)
  redis.call("EXPIRE", KEYS[2], ARGV[2])
else
  redis.call("HDEL", KEYS[2], "c:" .. ARGV[1], "u:" .. ARGV[1])
end

local second = math.floor(now / 1000)
for age, count in string.gmatch(ARGV[5], "(%d+):(%d+)") do
  local at = second - tonumber(age)
  if at > second - 61 then
    local oldest = tonumber(redis.call("HGET", KEYS[1], "s") or at)
    redis.call("HINCRBY", KEYS[1], at, count)
    redis.call("HINCRBY", KEYS[1], "n", count)
    redis.call("HSET", KEYS[1], "s", math.min(oldest, at))
    redis.call("EXPIRE", KEYS[1], 62)
  end
end
return open

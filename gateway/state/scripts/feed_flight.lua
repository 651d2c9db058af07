-- Renew the lease of a flight, and add what has passed.
-- KEYS[1] the flight (hash)   KEYS[2] its parts (hash)
-- ARGV[1] token of the leader   ARGV[2] lease, ms   ARGV[3] prefix of the workers' channels   ARGV[4] name of the flight
-- ARGV[5 …] field and value of each part, none = only renew
-- Returns how many workers follow, -1 when it is not this leader's flight any more.
if redis.call("HGET", KEYS[1], "t") ~= ARGV[1] then return -1 end
local time = redis.call("TIME")
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local lease = tonumber(ARGV[2])
redis.call("HSET", KEYS[1], "u", now + lease)
redis.call("PEXPIRE", KEYS[1], 2 * lease)
for at = 5, #ARGV, 2 do redis.call("HSET", KEYS[2], ARGV[at], ARGV[at + 1]) end
redis.call("PEXPIRE", KEYS[2], 2 * lease)

local followers, fields = 0, redis.call("HGETALL", KEYS[1])
for at = 1, #fields, 2 do
  local worker = string.match(fields[at], "^w:(.*)")
  if worker and tonumber(fields[at + 1]) > now then
    followers = followers + 1
    if #ARGV > 4 then redis.call("PUBLISH", ARGV[3] .. worker, ARGV[4]) end
  elseif worker then
    redis.call("HDEL", KEYS[1], fields[at])
  end
end
return followers

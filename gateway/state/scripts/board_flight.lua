-- Board a flight: lead it if nobody does, else follow who leads.
-- KEYS[1] the flight (hash)
-- ARGV[1] token to lead with   ARGV[2] fingerprint of the request   ARGV[3] worker   ARGV[4] lease, ms
-- ARGV[5] prefix of the workers' channels   ARGV[6] name of the flight, told to its leader
-- Returns {"lead", token}, {"follow", token of the leader}, or {"other"} when its fingerprint is another one.
-- A leader whose lease is over is dead: its flight is taken over.
local time = redis.call("TIME")
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local lease = tonumber(ARGV[4])
local known = redis.call("HMGET", KEYS[1], "t", "b", "u", "x", "l")
local token, fingerprint, holds_until, is_over, leader = known[1], known[2], known[3], known[4], known[5]
if token and (is_over or tonumber(holds_until) > now) then
  if fingerprint ~= ARGV[2] then return {"other"} end
  if not is_over then
    redis.call("HSET", KEYS[1], "w:" .. ARGV[3], now + lease)
    redis.call("PUBLISH", ARGV[5] .. leader, ARGV[6])
  end
  return {"follow", token}
end
redis.call("DEL", KEYS[1])
redis.call("HSET", KEYS[1], "t", ARGV[1], "b", ARGV[2], "u", now + lease, "l", ARGV[3])
redis.call("PEXPIRE", KEYS[1], 2 * lease)
return {"lead", ARGV[1]}

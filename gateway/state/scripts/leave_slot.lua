-- End one request at a connection, and let its adaptive limit learn from how it ended.
-- KEYS[1] the connection's pace (hash: a = adaptive limit, ac = when it was last cut, ms, an = successes since it rose)
-- KEYS[2] its open requests (hash: c:<worker>, u:<worker>)   KEYS[3] hold ids of this worker that are open (set)
-- ARGV[1] hold id   ARGV[2] worker   ARGV[3] "ok", "over" (429, 529) or "" (says nothing of the limit)
-- ARGV[4] when it was taken, ms   ARGV[5] how many were open then   ARGV[6] bound of the adaptive limit, 0 = off
-- ARGV[7] its first value   ARGV[8] now, unix ms (tests only)
-- Returns 1 when the id was open, else 0: leaving twice, or what was never taken, changes nothing.
-- What began before the last cut says nothing of the limit since: one overload cuts once. Only a limit that was half
-- used rises.
if redis.call("SREM", KEYS[3], ARGV[1]) == 0 then return 0 end
local left = redis.call("SCARD", KEYS[3])
if left == 0 then redis.call("HDEL", KEYS[2], "c:" .. ARGV[2], "u:" .. ARGV[2])
elseif redis.call("HEXISTS", KEYS[2], "c:" .. ARGV[2]) == 1 then redis.call("HSET", KEYS[2], "c:" .. ARGV[2], left) end

local cap = tonumber(ARGV[6])
if cap == 0 or ARGV[3] == "" then return 1 end
local state = redis.call("HMGET", KEYS[1], "a", "ac", "an")
local limit = math.max(1, math.min(tonumber(state[1] or ARGV[7]), cap))
if tonumber(ARGV[4]) <= tonumber(state[2] or 0) then return 1 end
if ARGV[3] == "over" then
  local now = tonumber(ARGV[8])
  if not now then
    local time = redis.call("TIME")
    now = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  redis.call("HSET", KEYS[1], "a", tostring(math.max(1, limit * 0.7)), "ac", now, "an", 0)
else
  if tonumber(ARGV[5]) * 2 < math.floor(limit) then return 1 end
  local successes = tonumber(state[3] or 0) + 1
  if successes >= math.floor(limit) then limit, successes = math.min(cap, limit + 1), 0 end
  redis.call("HSET", KEYS[1], "a", tostring(limit), "an", successes)
end
redis.call("EXPIRE", KEYS[1], 3600)
return 1

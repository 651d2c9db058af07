-- Read on in a flight that another worker leads, and go on following it; or leave it.
-- KEYS[1] the flight (hash)   KEYS[2] its parts (hash)
-- ARGV[1] token of its leader   ARGV[2] worker   ARGV[3] how long it follows without asking again, ms
-- ARGV[4] first part wanted, -1 = leave   ARGV[5] most bytes to read at once
-- ARGV[6] prefix of the workers' channels   ARGV[7] name of the flight, told to its leader when one leaves
-- Returns {1 = led or kept, 0 = its leader is gone; how it ended or ""; part, part …}. The end comes with the last parts.
local time = redis.call("TIME")
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local known = redis.call("HMGET", KEYS[1], "t", "u", "x", "l")
local is_its = known[1] == ARGV[1]
if ARGV[4] == "-1" then
  if is_its and not known[3] and redis.call("HDEL", KEYS[1], "w:" .. ARGV[2]) == 1 then
    redis.call("PUBLISH", ARGV[6] .. known[4], ARGV[7])
  end
  return {1, ""}
end
local is_led = is_its and (known[3] or tonumber(known[2]) > now)
if is_led and not known[3] then redis.call("HSET", KEYS[1], "w:" .. ARGV[2], now + tonumber(ARGV[3])) end

local found, at, left = {is_led and 1 or 0, ""}, tonumber(ARGV[4]), tonumber(ARGV[5])
while true do
  local part = redis.call("HGET", KEYS[2], at)
  if not part then
    found[2] = redis.call("HGET", KEYS[2], "x") or ""
    break
  end
  if left <= 0 then break end
  found[#found + 1] = part
  at, left = at + 1, left - #part
end
return found

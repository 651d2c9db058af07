-- Tell the other workers what one has measured, and read what they have told.
-- KEYS[1] what was told lately (stream: w = worker, m = message)
-- ARGV[1] worker   ARGV[2] its message, empty = only read   ARGV[3] id of the entry it read last, "0" = none
-- ARGV[4] most entries kept   ARGV[5] lifetime of an entry, ms   ARGV[6] most bytes to read at once
-- Returns {id of the entry read last, {age in ms, worker, message, age, worker, message …}}, oldest first, without its
-- own. What is over the bytes is read the next time; what nobody reads within the lifetime is gone.
local time = redis.call("TIME")
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local lifetime = tonumber(ARGV[5])
if ARGV[2] ~= "" then
  redis.call("XADD", KEYS[1], "MAXLEN", ARGV[4], "*", "w", ARGV[1], "m", ARGV[2])
  redis.call("XTRIM", KEYS[1], "MINID", now - lifetime)
  redis.call("PEXPIRE", KEYS[1], lifetime)
end

local last, found, left = ARGV[3], {}, tonumber(ARGV[6])
while left > 0 do
  local entries = redis.call("XRANGE", KEYS[1], "(" .. last, "+", "COUNT", 64)
  for _, entry in ipairs(entries) do
    if left <= 0 then break end
    last = entry[1]
    local worker, message = entry[2][2], entry[2][4]
    local age = now - tonumber(string.match(last, "^%d+"))
    if worker ~= ARGV[1] and age <= lifetime then
      found[#found + 1] = age
      found[#found + 1] = worker
      found[#found + 1] = message
      left = left - #message
    end
  end
  if #entries < 64 then break end
end
return {last, found}

-- Say that what a worker's open requests of a key hold (places or nano-dollars) is still held: it would be forgotten.
-- KEYS[1] the key's open requests, or its money (hash; `take.lua` says their shape)
-- KEYS[2] what the worker's open requests hold (hash: request id -> "second tokens nano-dollars open")
-- ARGV[1] worker   ARGV[2] how much is held   ARGV[3] lifetime of a count, s   ARGV[4] lifetime of the hash, s,
-- 0 = for ever   ARGV[5] "open" or "money", what KEYS[1] is   ARGV[6] ids of requests that were asked for and not
-- answered, separated by spaces: they count as much as they were given   ARGV[7] now, unix seconds (tests only)
-- Writes the amount too: after a restart of the server that lost its last second, the worker knows better.
-- Returns 1.
local now = tonumber(ARGV[7] or redis.call("TIME")[1])
local amount = tonumber(ARGV[2])
for id in string.gmatch(ARGV[6], "%S+") do
  local holds = redis.call("HGET", KEYS[2], id)
  if holds then
    local money, open = string.match(holds, "%S+ %S+ (%S+) (%S+)")
    amount = amount + (tonumber(ARGV[5] == "open" and open or money) or 0)
  end
end
redis.call("HSET", KEYS[1], "c:" .. ARGV[1], string.format("%.0f", amount), "u:" .. ARGV[1], now + tonumber(ARGV[3]))
if ARGV[4] ~= "0" then redis.call("EXPIRE", KEYS[1], ARGV[4]) end
return 1

-- Say that what a worker's open requests of a key hold (places or nano-dollars) is still held: it would be forgotten.
-- KEYS[1] the key's open requests, or its money (hash; `take.lua` says their shape)
-- ARGV[1] worker   ARGV[2] how much is held   ARGV[3] lifetime of a count, s   ARGV[4] lifetime of the hash, s,
-- 0 = for ever   ARGV[5] now, unix seconds (tests only)
-- Writes the amount too: after a restart of the server that lost its last second, the worker knows better.
-- Returns 1.
local now = tonumber(ARGV[5] or redis.call("TIME")[1])
redis.call("HSET", KEYS[1], "c:" .. ARGV[1], ARGV[2], "u:" .. ARGV[1], now + tonumber(ARGV[3]))
if ARGV[4] ~= "0" then redis.call("EXPIRE", KEYS[1], ARGV[4]) end
return 1

-- Say that a worker's open requests of a key still run: its count would be forgotten otherwise.
-- KEYS[1] the key's open requests (hash)   ARGV[1] worker   ARGV[2] how many are open   ARGV[3] lifetime of a count, s
-- ARGV[4] now, unix seconds (tests only)
-- Writes the count too: after a restart of the server that lost its last second, the worker knows better.
-- Returns 1.
local now = tonumber(ARGV[4] or redis.call("TIME")[1])
redis.call("HSET", KEYS[1], "c:" .. ARGV[1], ARGV[2], "u:" .. ARGV[1], now + tonumber(ARGV[3]))
redis.call("EXPIRE", KEYS[1], ARGV[3])
return 1

-- Raise what a key has spent to what the ledger knows of it; never lower it, since rows come later than they are charged.
-- KEYS[1] money of the key in a period (`take.lua` says its shape)
-- ARGV[1] nano-dollars in the ledger   ARGV[2] lifetime of the counter from now, s, 0 = for ever
-- Returns by how much it rose.
local spent = tonumber(redis.call("HGET", KEYS[1], "spent") or "0")
local missing = tonumber(ARGV[1]) - spent
if missing <= 0 then return 0 end
redis.call("HINCRBY", KEYS[1], "spent", string.format("%.0f", missing))
if ARGV[2] ~= "0" then redis.call("EXPIRE", KEYS[1], ARGV[2]) end
return missing

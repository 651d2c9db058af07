-- End a flight: nobody boards it any more, or only to read it while it is kept.
-- KEYS[1] the flight (hash)   KEYS[2] its parts (hash)
-- ARGV[1] token of the leader   ARGV[2] how long it is kept from now, ms, 0 = it is forgotten
-- ARGV[3] how long those that follow may still read it, ms   ARGV[4] prefix of the workers' channels   ARGV[5] its name
-- Returns 1, or 0 when it is not this leader's flight any more.
local keep, grace = tonumber(ARGV[2]), tonumber(ARGV[3])
redis.call("PEXPIRE", KEYS[2], math.max(keep + grace, grace))
if redis.call("HGET", KEYS[1], "t") ~= ARGV[1] then return 0 end
local fields = redis.call("HGETALL", KEYS[1])
for at = 1, #fields, 2 do
  local worker = string.match(fields[at], "^w:(.*)")
  if worker then redis.call("PUBLISH", ARGV[4] .. worker, ARGV[5]) end
end
if keep > 0 then
  redis.call("HSET", KEYS[1], "x", 1)
  redis.call("PEXPIRE", KEYS[1], keep)
else
  redis.call("DEL", KEYS[1])
end
return 1

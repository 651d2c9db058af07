-- Take a block of tickets of a cursor, for one worker alone.
-- KEYS[1] the cursor (string: the next ticket that nobody has)   ARGV[1] tickets wanted   ARGV[2] sticky limit
-- ARGV[3] lifetime, s
-- Returns the first ticket of the block. It is a multiple of the sticky limit, also after the limit was changed, so that
-- no run of equal choices is cut in two.
local sticky = tonumber(ARGV[2])
local first = math.ceil(tonumber(redis.call("GET", KEYS[1]) or "0") / sticky) * sticky
redis.call("SET", KEYS[1], string.format("%.0f", first + tonumber(ARGV[1])), "EX", ARGV[3])
return first

-- Count a request of an address.
-- KEYS[1] its requests in the minute that began with the first of them (string)
-- ARGV[1] most a minute
-- Returns seconds until there is room again, 0 = let it in. A refused request is not counted. Windows follow one
-- another, so in a rolling minute there may be twice as many.
local call = redis.call
local count = tonumber(call("GET", KEYS[1]) or 0)
if count >= tonumber(ARGV[1]) then
  local left = call("TTL", KEYS[1])
  if left > 0 then return left end
  call("DEL", KEYS[1])
end
if call("INCR", KEYS[1]) == 1 then call("EXPIRE", KEYS[1], 60) end
return 0

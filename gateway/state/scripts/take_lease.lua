-- Take or renew the right to run a job.
-- KEYS[1] lease   ARGV[1] token of the holder   ARGV[2] lifetime, ms
-- Returns 1 when the caller holds it now.
local holder = redis.call("GET", KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])
return 1

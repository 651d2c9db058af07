-- Move the current revision forward, never back.
-- KEYS[1] the revision workers should run   ARGV[1] revision
if tonumber(redis.call("GET", KEYS[1]) or "-1") < tonumber(ARGV[1]) then redis.call("SET", KEYS[1], ARGV[1]) end
return 1

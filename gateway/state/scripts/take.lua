-- Admit one request of a key and note it as in flight.
-- KEYS[1] the key's entry (hash v, e)   KEYS[2] epoch of the keyring   KEYS[3] requests in flight of the worker (hash)
-- ARGV[1] version the worker holds      ARGV[2] request id             ARGV[3] record to write if the worker dies
-- Returns {1} admitted; {2, entry} the key has changed, nothing taken; {0} no such key; {-1} keys are not loaded here.
-- Taking twice with one id is the same as taking once.
local version = redis.call("HGET", KEYS[1], "v")
if not version then
  if redis.call("EXISTS", KEYS[2]) == 0 then return {-1} end
  return {0}
end
if version ~= ARGV[1] then return {2, redis.call("HGET", KEYS[1], "e")} end
redis.call("HSET", KEYS[3], ARGV[2], ARGV[3])
return {1}

-- Put what a worker admitted while the server was away into a key's windows, in the second in which it happened.
-- KEYS[1] the key's requests of the last minute   KEYS[2] its tokens (a window each; `take.lua` says their shape)
-- ARGV[1] how long ago, s   ARGV[2] requests   ARGV[3] tokens   ARGV[4] now, unix seconds (tests only)
-- Returns 1 when it counts, 0 when it was so long ago that it does not. Not idempotent: an answer that is lost may
-- mean that it is charged twice; it leaves the window all the same.
if tonumber(ARGV[1]) > 60 then return 0 end
local now = tonumber(ARGV[4] or redis.call("TIME")[1])
local second = now - tonumber(ARGV[1])
for i = 1, 2 do
  if ARGV[i + 1] ~= "0" then
    local state = redis.call("HMGET", KEYS[i], "n", "s", "l")
    if state[1] and tonumber(state[3]) < now - 60 then
      redis.call("DEL", KEYS[i])
      state = {}
    end
    redis.call("HINCRBY", KEYS[i], second, ARGV[i + 1])
    redis.call("HINCRBY", KEYS[i], "n", ARGV[i + 1])
    local oldest, latest = tonumber(state[2] or second), tonumber(state[3] or second)
    redis.call("HSET", KEYS[i], "s", math.min(oldest, second), "l", math.max(latest, second))
    redis.call("EXPIRE", KEYS[i], 62)
  end
end
return 1

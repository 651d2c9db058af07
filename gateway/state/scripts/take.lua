-- Admit one request of a key, if its limits allow, and note it as in flight.
-- KEYS[1] the key's entry (hash v, e)   KEYS[2] epoch of the keyring   KEYS[3] requests in flight of the worker (hash)
-- KEYS[4] the key's requests by second (hash: second -> count, n = sum, s = oldest second in it)
-- KEYS[5] the key's open requests (hash: c:<worker> -> count, u:<worker> -> until, unix seconds)
-- ARGV[1] version the worker holds   ARGV[2] request id   ARGV[3] record to write if the worker dies
-- ARGV[4] requests a minute, 0 = any   ARGV[5] open requests, 0 = any   ARGV[6] worker   ARGV[7] lifetime of a count, s
-- ARGV[8] now, unix seconds (tests only)
-- Returns {1} admitted; {2, entry} the key has changed, nothing taken; {0} no such key; {-1} keys are not loaded here;
--         {3, which, seconds} over the limit "rpm" or "concurrency", nothing taken; capacity may be back then.
-- Taking twice with one id is the same as taking once. A second counts until it is wholly outside the last 60 s, so
-- there are never more than the limit in any rolling minute, and capacity comes back at most 1 s late.
local version = redis.call("HGET", KEYS[1], "v")
if not version then
  if redis.call("EXISTS", KEYS[2]) == 0 then return {-1} end
  return {0}
end
if version ~= ARGV[1] then return {2, redis.call("HGET", KEYS[1], "e")} end
local rpm, most = tonumber(ARGV[4]), tonumber(ARGV[5])
if rpm == 0 and most == 0 then
  redis.call("HSET", KEYS[3], ARGV[2], ARGV[3])
  return {1}
end
if redis.call("HEXISTS", KEYS[3], ARGV[2]) == 1 then return {1} end
local now = tonumber(ARGV[8] or redis.call("TIME")[1])

if most > 0 then
  local open, live = 0, redis.call("HGETALL", KEYS[5])
  local counts, untils = {}, {}
  for i = 1, #live, 2 do
    local worker = string.sub(live[i], 3)
    if string.sub(live[i], 1, 2) == "c:" then counts[worker] = tonumber(live[i + 1])
    else untils[worker] = tonumber(live[i + 1]) end
  end
  for worker, count in pairs(counts) do
    if (untils[worker] or 0) > now then open = open + count
    else redis.call("HDEL", KEYS[5], "c:" .. worker, "u:" .. worker) end
  end
  if open >= most then return {3, "concurrency", 1} end
end

if rpm > 0 then
  local state = redis.call("HMGET", KEYS[4], "n", "s")
  local sum, oldest = tonumber(state[1] or 0), tonumber(state[2] or now)
  oldest = math.min(oldest, now)  -- the server's clock may have been set back a little
  if oldest < now - 121 then
    redis.call("DEL", KEYS[4])
    sum = 0
  else
    for second = oldest, now - 61 do
      local count = redis.call("HGET", KEYS[4], second)
      if count then
        sum = sum - tonumber(count)
        redis.call("HDEL", KEYS[4], second)
      end
    end
  end
  oldest = math.max(oldest, now - 60)
  if sum >= rpm then
    for second = oldest, now do
      if redis.call("HEXISTS", KEYS[4], second) == 1 then return {3, "rpm", second + 61 - now} end
    end
    return {3, "rpm", 1}
  end
  redis.call("HINCRBY", KEYS[4], now, 1)
  redis.call("HSET", KEYS[4], "n", sum + 1, "s", oldest)
  redis.call("EXPIRE", KEYS[4], 62)
end

if most > 0 then
  redis.call("HINCRBY", KEYS[5], "c:" .. ARGV[6], 1)
  redis.call("HSET", KEYS[5], "u:" .. ARGV[6], now + tonumber(ARGV[7]))
  redis.call("EXPIRE", KEYS[5], ARGV[7])
end
redis.call("HSET", KEYS[3], ARGV[2], ARGV[3])
return {1}

-- Start one request at a connection, if its limits allow.
-- KEYS[1] the connection's pace (hash: g = last start, ms; lg, lu = learned gap and until when, ms;
--         a = adaptive limit)   KEYS[2] its starts by second (hash: second -> count, n = sum, s = oldest second in it)
-- KEYS[3] its open requests (hash: c:<worker> -> count, u:<worker> -> until, unix ms)
-- KEYS[4] hold ids of this worker that are open there (set)
-- ARGV[1] hold id   ARGV[2] worker   ARGV[3] starts a minute   ARGV[4] least gap between starts, ms
-- ARGV[5] open at once   ARGV[6] bound of the adaptive limit   ARGV[7] its first value   ARGV[8] lifetime of a count, s
-- ARGV[9] now, unix ms (tests only)    A limit of 0 is none.
-- Returns {1, now in ms, how many are open with this one} taken;
--         {0, "rpm" | "gap" | "concurrency", ms until it can be taken, -1 = not known} nothing taken.
-- Learned gaps last an hour at most, whatever becomes of the server's clock.
-- Taking twice with one id is the same as taking once. A second counts until it is wholly outside the last 60 s.
local now = tonumber(ARGV[9])
if not now then
  local time = redis.call("TIME")
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
if redis.call("SISMEMBER", KEYS[4], ARGV[1]) == 1 then return {1, now, 1} end
local rpm, gap, most = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local cap, lifetime_ms = tonumber(ARGV[6]), tonumber(ARGV[8]) * 1000
local second = math.floor(now / 1000)

local pace = redis.call("HMGET", KEYS[1], "g", "lg", "lu", "a")
if (tonumber(pace[3]) or 0) > now and tonumber(pace[3]) <= now + 3600000 then gap = math.max(gap, tonumber(pace[2])) end
if cap > 0 then
  local adapted = math.max(1, math.floor(math.min(tonumber(pace[4] or ARGV[7]), cap)))
  most = most > 0 and math.min(most, adapted) or adapted
end

local open = 0
local live = most > 0 and redis.call("HGETALL", KEYS[3]) or {}
local counts, untils = {}, {}
for i = 1, #live, 2 do
  local worker = string.sub(live[i], 3)
  if string.sub(live[i], 1, 2) == "c:" then counts[worker] = tonumber(live[i + 1])
  else untils[worker] = tonumber(live[i + 1]) end
end
for worker, count in pairs(counts) do
  if (untils[worker] or 0) > now then
    open = open + count
    if untils[worker] > now + lifetime_ms then redis.call("HSET", KEYS[3], "u:" .. worker, now + lifetime_ms) end
  else redis.call("HDEL", KEYS[3], "c:" .. worker, "u:" .. worker) end
end
if most > 0 and open >= most then return {0, "concurrency", -1} end

local why, wait = nil, 0
if gap > 0 and pace[1] then
  local since = now - tonumber(pace[1])
  if since < 0 then  -- the server's clock was set back: the last start counts as of now, and no longer than the gap
    since = 0
    redis.call("HSET", KEYS[1], "g", now)
  end
  if since < gap then why, wait = "gap", gap - since end
end

local sum, oldest = 0, second
if rpm > 0 then
  local state = redis.call("HMGET", KEYS[2], "n", "s")
  sum, oldest = tonumber(state[1] or 0), tonumber(state[2] or second)
  if oldest > second then  -- the same: what was started counts as of now, and no longer than a minute
    oldest = second
    redis.call("DEL", KEYS[2])
    redis.call("HSET", KEYS[2], "n", sum, "s", second, second, sum)
    redis.call("EXPIRE", KEYS[2], 62)
  end
  local before = sum
  if oldest < second - 121 then
    redis.call("DEL", KEYS[2])
    sum = 0
  else
    for old = oldest, second - 61 do
      local count = redis.call("HGET", KEYS[2], old)
      if count then
        sum = sum - tonumber(count)
        redis.call("HDEL", KEYS[2], old)
      end
    end
  end
  oldest = math.max(oldest, second - 60)
  if sum < before then
    redis.call("HSET", KEYS[2], "n", sum, "s", oldest)
    redis.call("EXPIRE", KEYS[2], 62)
  end
  if sum >= rpm then
    local left, leaves = sum, second
    for at = oldest, second do
      left = left - tonumber(redis.call("HGET", KEYS[2], at) or 0)
      if left < rpm then
        leaves = at
        break
      end
    end
    if (leaves + 61) * 1000 - now > wait then why, wait = "rpm", (leaves + 61) * 1000 - now end
  end
end
if why then return {0, why, wait} end

if rpm > 0 then
  redis.call("HINCRBY", KEYS[2], second, 1)
  redis.call("HSET", KEYS[2], "n", sum + 1, "s", oldest)
  redis.call("EXPIRE", KEYS[2], 62)
end
if gap > 0 then
  redis.call("HSET", KEYS[1], "g", now)
  redis.call("EXPIRE", KEYS[1], 3600)
end
redis.call("SADD", KEYS[4], ARGV[1])
redis.call("EXPIRE", KEYS[4], ARGV[8])
if most > 0 then
  redis.call("HSET", KEYS[3], "c:" .. ARGV[2], redis.call("SCARD", KEYS[4]), "u:" .. ARGV[2], now + lifetime_ms)
  redis.call("EXPIRE", KEYS[3], ARGV[8])
end
return {1, now, open + 1}

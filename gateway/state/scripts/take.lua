-- Admit one request of a key, if its limits allow, and note it as in flight.
-- KEYS[1] the key's entry (hash v, e)   KEYS[2] epoch of the keyring   KEYS[3] requests in flight of the worker (hash)
-- For a key with limits also:
-- KEYS[4] its requests of the last minute, KEYS[6] its tokens (a window each: hash of second -> count, n = their sum,
--   s = oldest second in it, l = latest)   KEYS[5] its open requests, KEYS[7] its money in this period (hash:
--   c:<worker> -> what the worker's open requests hold, u:<worker> -> until, unix seconds; in KEYS[7] also spent)
-- KEYS[8] what the worker's open requests hold (hash: request id -> "second tokens nano-dollars open")
-- ARGV[1] version the worker holds   ARGV[2] request id   ARGV[3] record to write if the worker dies
-- For a key with limits also (a limit of 0 is none):
-- ARGV[4] worker   ARGV[5] lifetime of a worker's count, s   ARGV[6] requests a minute   ARGV[7] open requests
-- ARGV[8] tokens a minute   ARGV[9] tokens to reserve   ARGV[10] nano-dollars a period   ARGV[11] nano-dollars to hold
-- ARGV[12] lifetime of KEYS[7], s, 0 = for ever   ARGV[13] lifetime of KEYS[8], s   ARGV[14] now (tests only, else empty or left out)
-- ARGV[15] nano-dollars spent from which on it is told, for keys with a budget; may be left out
-- For a key with a second budget, of another period: KEYS[9] its money in that (as KEYS[7]), ARGV[16] nano-dollars a period,
-- ARGV[17] lifetime of KEYS[9], s, 0 = for ever, ARGV[18] nano-dollars from which on it is told; ARGV[15] and ARGV[18] may be empty
-- Returns {1} admitted, {1, nano-dollars} with what is spent and held now, once that is ARGV[15] (of a key with two budgets {1, of the first,
--         of the second}, -1 = not to be told); {2, entry} the key has changed, nothing taken; {0} no such key; {-1} keys are not loaded here;
--         {3, which, seconds} over the limit "rpm", "tpm", "concurrency", "budget" or "second_budget", nothing taken; capacity may be
--         back then, -1 = only when the period ends.
-- Taking twice with one id is the same as taking once. A second counts until it is wholly outside the last 60 s, so
-- there are never more than the limit in any rolling minute, and capacity comes back at most 1 s late. A reservation
-- above the whole limit of tokens is admitted into an empty window only. Money held and spent never exceeds the budget; what
-- the requests of a killed worker held of it is spent, since nobody knows what they used.
local call = redis.call
local version = call("HGET", KEYS[1], "v")
if not version then
  if call("EXISTS", KEYS[2]) == 0 then return {-1} end
  return {0}
end
if version ~= ARGV[1] then return {2, call("HGET", KEYS[1], "e")} end
if not ARGV[4] then
  call("HSET", KEYS[3], ARGV[2], ARGV[3])
  return {1}
end
if call("HSETNX", KEYS[3], ARGV[2], ARGV[3]) == 0 then return {1} end

local function refuse(which, seconds)
  call("HDEL", KEYS[3], ARGV[2])
  return {3, which, seconds}
end

local now = tonumber(ARGV[14]) or tonumber(call("TIME")[1])
local worker, lifetime = ARGV[4], tonumber(ARGV[5])
local rpm, most, tpm, budget = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[10])

-- What all workers hold, without those that have not renewed in time; what is spent; what this worker holds, and until
-- when that counts. Money (`keeps` is given) that a worker held when it died may have been used up: it counts as
-- spent, so that nobody spends it again, and after `keeps` seconds, when nobody can settle it any more, it is.
local own_count, own_until = "c:" .. worker, "u:" .. worker
local function held_by_all(name, keeps)
  local sum, spent, own, till, all = 0, 0, 0, 0, call("HGETALL", name)
  local holders, soonest, latest = 0, now + 1, now
  for i = 1, #all, 2 do
    local field, value = all[i], tonumber(all[i + 1])
    local kind = string.byte(field)
    if kind == 99 then  -- c:
      sum, holders = sum + value, holders + 1
      if field == own_count then own = value end
    elseif kind == 117 then  -- u:
      holders = holders - 1
      if value < soonest then soonest = value end
      if value > latest then latest = value end
      if field == own_until then till = value end
    else spent = value end
  end
  -- Mostly every count is in time, and nobody need look whose is whose.
  if soonest > now and latest <= now + lifetime and holders <= 0 then return sum, spent, own, till end
  local counts, untils = {}, {}
  for i = 1, #all, 2 do
    local kind, who = string.sub(all[i], 1, 2), string.sub(all[i], 3)
    if kind == "c:" then counts[who] = tonumber(all[i + 1])
    elseif kind == "u:" then untils[who] = tonumber(all[i + 1]) end
  end
  sum = 0
  for who, count in pairs(counts) do
    local till = untils[who] or 0
    local is_kept = keeps and count > 0
    if till > now then sum = sum + count
    elseif is_kept then spent = spent + count end
    if till <= now and not (is_kept and till > now - keeps) then
      call("HDEL", name, "c:" .. who, "u:" .. who)
      if is_kept then call("HINCRBY", name, "spent", count) end
      if who == worker then counts[who] = 0 end
    end
    if till > now + lifetime then call("HSET", name, "u:" .. who, now + lifetime) end  -- the clock was set back
  end
  return sum, spent, counts[worker] or 0, untils[worker] or 0
end

-- Renews only what would not last until the worker renews it, which it does every third of the lifetime; then the
-- lifetime of what it holds is renewed too.
local is_renewing = false
local function hold(name, amount, own, till, hash_lifetime)
  if till < now + lifetime * 2 / 3 then
    is_renewing = true
    call("HSET", name, own_count, own + amount, own_until, now + lifetime)
    if hash_lifetime ~= "0" then call("EXPIRE", name, hash_lifetime) end
  else
    call("HSET", name, own_count, own + amount)
  end
end

-- Lets go of the seconds that have left a window. Returns the sum of the others, the oldest that may be there, and what
-- is in the present one (nil = nothing yet).
local function slide(name)
  local state = call("HMGET", name, "n", "s", "l", now)
  if not state[1] then return 0, now end
  local sum, oldest, latest = tonumber(state[1]), tonumber(state[2]), tonumber(state[3])
  if latest > now then
    -- The server's clock was set back: what is there counts as of now, so it counts long enough and not for ever.
    call("DEL", name)
    call("HSET", name, "n", sum, "s", now, "l", now, now, sum)
    call("EXPIRE", name, 62)
    return sum, now, sum
  end
  if latest < now - 60 then
    call("DEL", name)
    return 0, now
  end
  for second = oldest, now - 61 do
    local count = call("HGET", name, second)
    if count then
      sum = sum - tonumber(count)
      call("HDEL", name, second)
    end
  end
  if oldest < now - 60 then
    oldest = now - 60
    call("HSET", name, "n", sum, "s", oldest)  -- also for a request that is refused
  end
  return sum, oldest, state[4]
end

local function count(name, amount, sum, oldest, present)
  if present then
    call("HSET", name, now, present + amount, "n", sum + amount)
  else
    call("HSET", name, now, amount, "n", sum + amount, "s", oldest, "l", now)
    call("EXPIRE", name, 62)
    is_renewing = true
  end
end

-- Seconds until as much as `need` has left a window.
local function back_in(name, oldest, need)
  local seconds = {}
  for second = oldest, now do seconds[#seconds + 1] = second end
  for i, amount in ipairs(call("HMGET", name, unpack(seconds))) do
    need = need - tonumber(amount or 0)
    if amount and need <= 0 then return oldest + i - 1 + 61 - now end
  end
  return 1
end

local open, held, spent, own_open, own_held, open_till, held_till
if most > 0 then
  open, spent, own_open, open_till = held_by_all(KEYS[5])
  if open >= most then return refuse("concurrency", 1) end
end

local requests, requests_since, requests_now, tokens, tokens_since, tokens_now
if rpm > 0 then
  requests, requests_since, requests_now = slide(KEYS[4])
  if requests >= rpm then return refuse("rpm", back_in(KEYS[4], requests_since, requests + 1 - rpm)) end
end

local reserve = tonumber(ARGV[9])
if tpm > 0 then
  tokens, tokens_since, tokens_now = slide(KEYS[6])
  if tokens > 0 and tokens + math.max(reserve, 1) > tpm then
    local need = math.min(tokens, tokens + math.max(reserve, 1) - tpm)
    return refuse("tpm", back_in(KEYS[6], tokens_since, need))
  end
end

local money = tonumber(ARGV[11])
if budget > 0 then
  held, spent, own_held, held_till = held_by_all(KEYS[7], tonumber(ARGV[13]))
  if spent + math.max(money, 1) > budget then return refuse("budget", -1) end
  if spent + held + math.max(money, 1) > budget then return refuse("budget", 1) end
end

local second_held, second_spent, second_own, second_till
if ARGV[16] then
  local most_money, asked = tonumber(ARGV[16]), math.max(money, 1)
  second_held, second_spent, second_own, second_till = held_by_all(KEYS[9], tonumber(ARGV[13]))
  if second_spent + asked > most_money then return refuse("second_budget", -1) end
  if second_spent + second_held + asked > most_money then return refuse("second_budget", 1) end
end

if rpm > 0 then count(KEYS[4], 1, requests, requests_since, requests_now) end
if tpm > 0 then count(KEYS[6], reserve, tokens, tokens_since, tokens_now) end
if most > 0 then hold(KEYS[5], 1, own_open, open_till, ARGV[5]) end
if budget > 0 then hold(KEYS[7], money, own_held, held_till, ARGV[12]) end
if ARGV[16] then hold(KEYS[9], money, second_own, second_till, ARGV[17]) end
if most > 0 or tpm > 0 or budget > 0 then
  local holds = now .. " " .. (tpm > 0 and ARGV[9] or "-") .. " " .. (budget > 0 and ARGV[11] or "-")
    .. (most > 0 and " 1" or " 0")
  call("HSET", KEYS[8], ARGV[2], holds)
  if is_renewing then call("EXPIRE", KEYS[8], ARGV[13]) end
end
if ARGV[16] then
  local first, second = spent + held + money, second_spent + second_held + money
  local told_from, second_from = tonumber(ARGV[15]), tonumber(ARGV[18])
  local is_first, is_second = told_from and first >= told_from, second_from and second >= second_from
  if is_first or is_second then return {1, is_first and first or -1, is_second and second or -1} end
  return {1}
end
if ARGV[15] and spent + held + money >= tonumber(ARGV[15]) then return {1, spent + held + money} end
return {1}

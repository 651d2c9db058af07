-- Admit one request of a key, if its limits allow, and note it as in flight.
-- KEYS[1] the key's entry (hash v, e)   KEYS[2] epoch of the keyring   KEYS[3] requests in flight of the worker (hash)
-- For a key with limits also (`keys.py` says their shapes):
-- KEYS[4] what is counted of it   KEYS[5] what the worker's open requests hold   KEYS[6], KEYS[7] its money, of each budget it has
-- ARGV[1] version the worker holds   ARGV[2] request id   ARGV[3] record to write if the worker dies
-- For a key with limits also (a limit of 0 is none; numbers that are always the same come as packed doubles):
-- ARGV[4] worker   ARGV[5] lifetime of a worker's count, s; requests a minute; open requests; tokens a minute; lifetime of
-- KEYS[5], s; then for each budget: nano-dollars a period; lifetime of its money, s, 0 = for ever; what is to be
-- spent before it is told, nano-dollars, 0 = never told
-- ARGV[6] tokens to reserve   ARGV[7] nano-dollars to hold of each budget   ARGV[8] now, unix seconds (tests only)
-- Returns {1} admitted, {1, nano-dollars of each budget} with what is spent and held now of those that are to be told, -1 for
--         the others; {2, entry} the key has changed, nothing taken; {0} no such key; {-1} keys are not loaded here;
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

-- Counters are packed doubles: as text, reading and writing one costs as much as a command.
local pack, unpacked = struct.pack, struct.unpack
local TOTALS, LIMITS, MONEY = "<dd", "<dddddddd", "<ddd"
local limits, worker, own_count = KEYS[4], ARGV[4], "c:" .. ARGV[4]
local lifetime, rpm, most, tpm, keeps = unpacked("<ddddd", ARGV[5])
local now = tonumber(ARGV[8] or call("TIME")[1])
local KEEP_S = 75  -- longer than a window and than a worker's count

-- Look at each worker's count, so that the others need not until `w`. A worker that has not renewed in time holds nothing
-- any more; of money it held (`is_money`) nobody knows whether it was used, so it counts as spent (k), and after `keeps`
-- seconds, when nobody can settle it any more, it is.
-- Returns what is held by all, and until when that need not be looked at again; of money k, and what is added to spent.
local function sweep(name, is_money)
  local all, counts, dead = call("HGETALL", name), {}, {}
  local held, kept, added, soonest = 0, 0, 0, now + lifetime
  for i = 1, #all, 2 do
    local kind = string.sub(all[i], 1, 2)
    if kind == "c:" then counts[string.sub(all[i], 3)] = all[i + 1]
    elseif kind == "d:" then dead[string.sub(all[i], 3)] = all[i + 1] end
  end
  for who, counted in pairs(counts) do
    local count, till = unpacked(TOTALS, counted)
    if till > now + lifetime or (is_money and who == worker and till <= now) then
      till = now + lifetime  -- the clock was set back; or it was late to renew and is alive
      call("HSET", name, "c:" .. who, pack(TOTALS, count, till))
    end
    if till > now then
      held, soonest = held + count, math.min(soonest, till)
    else
      call("HDEL", name, "c:" .. who)
      if is_money and count > 0 then
        count, till = count + (dead[who] and unpacked(TOTALS, dead[who]) or 0), till + keeps
        dead[who] = pack(TOTALS, count, till)
        call("HSET", name, "d:" .. who, dead[who])
      end
    end
  end
  for who, counted in pairs(dead) do
    local count, till = unpacked(TOTALS, counted)
    if till > now then
      kept, soonest = kept + count, math.min(soonest, till)
    else
      call("HDEL", name, "d:" .. who)
      call("HINCRBY", name, "spent", string.format("%.0f", count))
      added = added + count
    end
  end
  return held, soonest, kept, added
end

local function is_known(soonest)
  return soonest > now and soonest <= now + lifetime
end

-- What the worker holds with `amount` more. Renews what would not last until the worker renews it, which it does every
-- third of the lifetime; then the lifetime of what it holds is renewed too.
local is_renewing = false
local function hold(name, counted, amount, hash_lifetime)
  local own, till = 0, 0
  if counted then own, till = unpacked(TOTALS, counted) end
  if till < now + lifetime * 2 / 3 then
    is_renewing, till = true, now + lifetime
    if hash_lifetime > 0 then call("EXPIRE", name, hash_lifetime) end
  end
  return pack(TOTALS, own + amount, till)
end

local state = call("HMGET", limits, "x", own_count)
local requests, tokens, latest, requests_now, tokens_now, oldest, open, soonest = 0, 0, 0, 0, 0, now, 0, 0
if state[1] then requests, tokens, latest, requests_now, tokens_now, oldest, open, soonest = unpacked(LIMITS, state[1]) end

local function packed(opened)
  return pack(LIMITS, requests, tokens, latest, requests_now, tokens_now, oldest, open + opened, soonest)
end

if most > 0 then
  if not is_known(soonest) then
    open, soonest = sweep(limits)
    call("HSET", limits, "x", packed(0))
    state[2] = call("HGET", limits, own_count)
  end
  if open >= most then return refuse("concurrency", 1) end
end

-- A new second has begun: put the last one away, and let go of those that have left the window.
local function roll()
  if latest > now or latest < now - 60 then
    local gone = {}
    for second = oldest, latest - 1 do gone[#gone + 1] = second end
    if #gone > 0 then call("HDEL", limits, unpack(gone)) end
    -- The server's clock was set back: what is there counts as of now, so it counts long enough and not for ever.
    if latest > now then requests_now, tokens_now = requests, tokens
    else requests, tokens, requests_now, tokens_now = 0, 0, 0, 0 end
    oldest = now
  else
    if requests_now ~= 0 or tokens_now ~= 0 then call("HSET", limits, latest, pack(TOTALS, requests_now, tokens_now)) end
    local leaving = {}
    for second = oldest, now - 61 do leaving[#leaving + 1] = second end
    if #leaving > 0 then
      for _, counted in ipairs(call("HMGET", limits, unpack(leaving))) do
        if counted then
          local left, left_tokens = unpacked(TOTALS, counted)
          requests, tokens = requests - left, tokens - left_tokens
        end
      end
      call("HDEL", limits, unpack(leaving))
      oldest = now - 60
    end
    requests_now, tokens_now = 0, 0
  end
  latest = now
  call("HSET", limits, "x", packed(0))
  call("EXPIRE", limits, KEEP_S)
  is_renewing = true
end

-- Seconds until as much as `need` has left the window; `which`: 1 of requests, 2 of tokens.
local function back_in(need, which)
  local seconds = {}
  for second = oldest, now - 1 do seconds[#seconds + 1] = second end
  if #seconds > 0 then
    for i, counted in ipairs(call("HMGET", limits, unpack(seconds))) do
      if counted then
        need = need - select(which, unpacked(TOTALS, counted))
        if need <= 0 then return oldest + i - 1 + 61 - now end
      end
    end
  end
  return 61
end

local reserve = 0
if rpm > 0 or tpm > 0 then
  if latest ~= now then roll() end
  if rpm > 0 and requests >= rpm then return refuse("rpm", back_in(requests + 1 - rpm, 1)) end
  if tpm > 0 then
    reserve = tonumber(ARGV[6])
    local asked = math.max(reserve, 1)
    if tokens > 0 and tokens + asked > tpm then return refuse("tpm", back_in(math.min(tokens, tokens + asked - tpm), 2)) end
  end
  requests, tokens, requests_now, tokens_now = requests + 1, tokens + reserve, requests_now + 1, tokens_now + reserve
end

local money, counters = tonumber(ARGV[7]), {}
for i = 6, #KEYS do
  local name, asked = KEYS[i], math.max(money, 1)
  local budget, keep_s, told_from = unpacked(MONEY, ARGV[5], 24 * (i - 6) + 41)
  local known = call("HMGET", name, "x", own_count, "spent")
  local held, until_when, kept = 0, 0, 0
  if known[1] then held, until_when, kept = unpacked(MONEY, known[1]) end
  local spent = tonumber(known[3] or 0)
  if not is_known(until_when) then
    local added
    held, until_when, kept, added = sweep(name, true)
    call("HSET", name, "x", pack(MONEY, held, until_when, kept))
    known[2], spent = call("HGET", name, own_count), spent + added
  end
  spent = spent + kept
  local which = i == 6 and "budget" or "second_budget"
  if spent + asked > budget then return refuse(which, -1) end
  if spent + held + asked > budget then return refuse(which, 1) end
  counters[#counters + 1] = {name, pack(MONEY, held + money, until_when, kept), known[2], keep_s,
    told_from > 0 and spent + held + money >= told_from and spent + held + money or -1}
end

if most > 0 then
  call("HSET", limits, "x", packed(1), own_count, hold(limits, state[2], 1, KEEP_S))
elseif rpm > 0 or tpm > 0 then
  call("HSET", limits, "x", packed(0))
end

local told, is_told = {1}, false
for i, counter in ipairs(counters) do
  call("HSET", counter[1], "x", counter[2], own_count, hold(counter[1], counter[3], money, counter[4]))
  told[i + 1] = counter[5]
  is_told = is_told or counter[5] >= 0
end

if most > 0 or tpm > 0 or #counters > 0 then
  call("HSET", KEYS[5], ARGV[2], string.format("%d %s %s %d", now, tpm > 0 and ARGV[6] or "-",
    #counters > 0 and ARGV[7] or "-", most > 0 and 1 or 0))
  if is_renewing then call("EXPIRE", KEYS[5], keeps) end
end
return is_told and told or {1}

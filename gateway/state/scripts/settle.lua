-- Append a request's record to the ledger's stream, forget that it was in flight, and turn what it held into what it
-- used.
-- KEYS[1] stream of records   KEYS[2] requests in flight of the worker (hash)
-- For a request that may hold something also (`keys.py` says their shapes):
-- KEYS[3] what the worker's requests hold   KEYS[4] what is counted of the key   KEYS[5], KEYS[6] its money, of each budget it has
-- ARGV[1] request id   ARGV[2] record, empty = only give back   ARGV[3] most entries the stream may hold
-- For a request that may hold something also:
-- ARGV[4] worker   ARGV[5] tokens used   ARGV[6] nano-dollars it cost   ARGV[7] when nothing is held: "" = charge nothing (it
-- was settled before), noted = charge the money if the request is noted in flight (the server may not have seen its
-- take), always = charge it   ARGV[8] for each budget the lifetime of its money, s, 0 = for ever, -1 = its period is
-- over (packed doubles)   ARGV[9] now, unix seconds (tests only)
-- Returns 1 when appended, 0 when the stream is full (the worker spools to disk; nothing is trimmed here, since
-- only what SQL has acknowledged may go, and the note stays until the record is safe). Settling twice appends twice,
-- and the ledger keeps one row per id; all else happens once, for whoever finds what the request holds.
-- Tokens are set right in the second of the take: what was used above the reservation is a debt until it leaves.
local call = redis.call
local is_full = ARGV[2] ~= "" and call("XLEN", KEYS[1]) >= tonumber(ARGV[3])
local is_noted = call(is_full and "HEXISTS" or "HDEL", KEYS[2], ARGV[1]) == 1

local pack, unpacked = struct.pack, struct.unpack
local TOTALS, LIMITS, MONEY = "<dd", "<dddddddd", "<ddd"

local function set_right(second, reserved, is_open)
  local limits, own_count = KEYS[4], "c:" .. ARGV[4]
  local state = call("HMGET", limits, "x", own_count)
  local own, till = 0, 0
  if state[2] then own, till = unpacked(TOTALS, state[2]) end
  is_open = is_open and own > 0
  if not state[1] then
    if is_open then call("HSET", limits, own_count, pack(TOTALS, own - 1, till)) end
    return
  end
  local requests, tokens, latest, requests_now, tokens_now, oldest, open, soonest = unpacked(LIMITS, state[1])
  local change = reserved and tonumber(ARGV[5]) - reserved or 0
  if change == 0 then
    -- what was reserved is what was used
  elseif second == latest then
    change = math.max(change, -tokens_now)
    tokens, tokens_now = tokens + change, tokens_now + change
  elseif second < latest then
    local counted = call("HGET", limits, second)
    if counted then
      local then_requests, then_tokens = unpacked(TOTALS, counted)
      change = math.max(change, -then_tokens)
      tokens = tokens + change
      call("HSET", limits, second, pack(TOTALS, then_requests, then_tokens + change))
    end
  elseif change > 0 and second > tonumber(ARGV[9] or call("TIME")[1]) then
    -- The clock was set back and `take` has moved the second: the debt counts from now, a refund is not made.
    tokens, tokens_now = tokens + change, tokens_now + change
  end
  if is_open then
    call("HSET", limits, "x", pack(LIMITS, requests, tokens, latest, requests_now, tokens_now, oldest, open - 1, soonest),
      own_count, pack(TOTALS, own - 1, till))
  elseif change ~= 0 then
    call("HSET", limits, "x", pack(LIMITS, requests, tokens, latest, requests_now, tokens_now, oldest, open, soonest))
  end
end

local function spend(i)
  local lifetime = unpacked("<d", ARGV[8], 8 * (i - 5) + 1)
  if ARGV[6] == "0" or lifetime == -1 then return end
  local spent = call("HINCRBY", KEYS[i], "spent", ARGV[6])
  if lifetime > 0 and spent == tonumber(ARGV[6]) then call("EXPIRE", KEYS[i], lifetime) end  -- it may be new
end

local function let_go(name, amount)
  local own_count, own_dead = "c:" .. ARGV[4], "d:" .. ARGV[4]
  local state = call("HMGET", name, "x", own_count)
  local held, soonest, kept, own, till = 0, 0, 0, 0, 0
  if state[1] then held, soonest, kept = unpacked(MONEY, state[1]) end
  if state[2] then own, till = unpacked(TOTALS, state[2]) end
  local late = amount - own
  if late > 0 then  -- it was late to renew, so what it held counted as spent; or the server has forgotten
    amount = own
    local dead = call("HGET", name, own_dead)
    if dead then
      local count, ends = unpacked(TOTALS, dead)
      late = math.min(late, count)
      kept = kept - late
      call("HSET", name, own_dead, pack(TOTALS, count - late, ends))
    end
  end
  if state[1] and state[2] then
    call("HSET", name, own_count, pack(TOTALS, own - amount, till), "x", pack(MONEY, held - amount, soonest, kept))
  elseif state[2] then call("HSET", name, own_count, pack(TOTALS, own - amount, till))
  elseif state[1] then call("HSET", name, "x", pack(MONEY, held - amount, soonest, kept)) end
end

if ARGV[4] then
  local holds = call("HGET", KEYS[3], ARGV[1])
  if holds then
    call("HDEL", KEYS[3], ARGV[1])
    local second, tokens, money, open = string.match(holds, "(%S+) (%S+) (%S+) (%S+)")
    if tokens ~= "-" or open == "1" then set_right(tonumber(second), tonumber(tokens), open == "1") end
    if money ~= "-" then
      for i = 5, #KEYS do
        if money ~= "0" then let_go(KEYS[i], tonumber(money)) end
        spend(i)
      end
    end
  elseif ARGV[7] == "always" or (ARGV[7] == "noted" and is_noted) then
    for i = 5, #KEYS do spend(i) end
  end
end

if is_full then return 0 end
if ARGV[2] ~= "" then call("XADD", KEYS[1], "*", "r", ARGV[2]) end
return 1

-- Append a request's record to the ledger's stream, forget that it was in flight, and turn what it held into what it
-- used.
-- KEYS[1] stream of records   KEYS[2] requests in flight of the worker (hash)
-- For a request that may hold something also (`take.lua` says their shapes):
-- KEYS[3] what the worker's requests hold   KEYS[4] the key's open requests   KEYS[5] its tokens   KEYS[6] its money
-- ARGV[1] request id   ARGV[2] record, empty = only give back   ARGV[3] most entries the stream may hold
-- For a request that may hold something also:
-- ARGV[4] worker   ARGV[5] tokens used   ARGV[6] nano-dollars it cost   ARGV[7] lifetime of KEYS[6], s, 0 = for ever,
-- -1 = its period is over   ARGV[8] when nothing is held: "" = charge nothing (it was settled before), noted = charge
-- the money if the request is noted in flight (the server may not have seen its take), always = charge it
-- ARGV[9] now, unix seconds (tests only, else empty or left out)
-- For a key with a second budget: KEYS[7] its money in that, ARGV[10] lifetime of KEYS[7], as ARGV[7]
-- Returns 1 when appended, 0 when the stream is full (the worker spools to disk; nothing is trimmed here, since
-- only what SQL has acknowledged may go, and the note stays until the record is safe). Settling twice appends twice,
-- and the ledger keeps one row per id; all else happens once, for whoever finds what the request holds.
-- Tokens are set right in the second of the take: what was used above the reservation is a debt until it leaves.
local call = redis.call
local is_full = ARGV[2] ~= "" and call("XLEN", KEYS[1]) >= tonumber(ARGV[3])
local is_noted = call(is_full and "HEXISTS" or "HDEL", KEYS[2], ARGV[1]) == 1

local function set_right(name, second, reserved, used)
  if used == reserved then return end
  local state = call("HMGET", name, second, "n")
  local there = tonumber(state[1])
  if there then
    local change = math.max(used - reserved, -there)
    call("HSET", name, second, there + change, "n", state[2] + change)
    return
  end
  local now = tonumber(ARGV[9]) or tonumber(call("TIME")[1])
  if second > now and used > reserved and call("EXISTS", name) == 1 then
    -- The clock was set back and `take` has moved the second: the debt counts from now, a refund is not made.
    call("HINCRBY", name, now, used - reserved)
    call("HINCRBY", name, "n", used - reserved)
    call("HSET", name, "l", now)
  end
end

local function let_go(name, amount)
  if amount == "0" then return end
  local field = "c:" .. ARGV[4]  -- when it is gone it is made here, below zero
  if call("HINCRBY", name, field, "-" .. amount) < 0 then call("HDEL", name, field) end
end

local function spend_of(name, lifetime)
  if lifetime == "-1" then return end
  local spent = call("HINCRBY", name, "spent", ARGV[6])
  if lifetime ~= "0" and spent == tonumber(ARGV[6]) then call("EXPIRE", name, lifetime) end  -- it may be new
end

local function spend()
  if ARGV[6] == "0" then return end
  spend_of(KEYS[6], ARGV[7])
  if KEYS[7] then spend_of(KEYS[7], ARGV[10]) end
end

if ARGV[4] then
  local holds = call("HGET", KEYS[3], ARGV[1])
  if holds then
    local second, tokens, money, open = string.match(holds, "(%S+) (%S+) (%S+) (%S+)")
    call("HDEL", KEYS[3], ARGV[1])
    if open == "1" then let_go(KEYS[4], "1") end
    if tokens ~= "-" then set_right(KEYS[5], tonumber(second), tonumber(tokens), tonumber(ARGV[5])) end
    if money ~= "-" then
      let_go(KEYS[6], money)
      if KEYS[7] then let_go(KEYS[7], money) end
      spend()
    end
  elseif ARGV[8] == "always" or (ARGV[8] == "noted" and is_noted) then
    spend()
  end
end

if is_full then return 0 end
if ARGV[2] ~= "" then call("XADD", KEYS[1], "*", "r", ARGV[2]) end
return 1

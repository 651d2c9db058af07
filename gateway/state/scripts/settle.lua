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
-- ARGV[9] now, unix seconds (tests only)
-- Returns 1 when appended, 0 when the stream is full (the worker spools to disk; nothing is trimmed here, since
-- only what SQL has acknowledged may go, and the note stays until the record is safe). Settling twice appends twice,
-- and the ledger keeps one row per id; all else happens once, for whoever finds what the request holds.
-- Tokens are set right in the second of the take: what was used above the reservation is a debt until it leaves.
local is_full = ARGV[2] ~= "" and redis.call("XLEN", KEYS[1]) >= tonumber(ARGV[3])
local is_noted = redis.call(is_full and "HEXISTS" or "HDEL", KEYS[2], ARGV[1]) == 1

local function set_right(name, second, reserved, used)
  local there = redis.call("HGET", name, second)
  if there then
    local change = math.max(used - reserved, -tonumber(there))
    redis.call("HINCRBY", name, second, change)
    redis.call("HINCRBY", name, "n", change)
    return
  end
  local now = tonumber(ARGV[9] or redis.call("TIME")[1])
  if second > now and used > reserved and redis.call("EXISTS", name) == 1 then
    -- The clock was set back and `take` has moved the second: the debt counts from now, a refund is not made.
    redis.call("HINCRBY", name, now, used - reserved)
    redis.call("HINCRBY", name, "n", used - reserved)
    redis.call("HSET", name, "l", now)
  end
end

local function let_go(name, amount)
  if amount == "0" or redis.call("HEXISTS", name, "c:" .. ARGV[4]) == 0 then return end
  if redis.call("HINCRBY", name, "c:" .. ARGV[4], "-" .. amount) < 0 then redis.call("HDEL", name, "c:" .. ARGV[4]) end
end

local function spend()
  if ARGV[7] == "-1" or ARGV[6] == "0" then return end
  redis.call("HINCRBY", KEYS[6], "spent", ARGV[6])
  if ARGV[7] ~= "0" then redis.call("EXPIRE", KEYS[6], ARGV[7]) end
end

if ARGV[4] then
  local holds = redis.call("HGET", KEYS[3], ARGV[1])
  if holds then
    local second, tokens, money, open = string.match(holds, "(%S+) (%S+) (%S+) (%S+)")
    redis.call("HDEL", KEYS[3], ARGV[1])
    if open == "1" then let_go(KEYS[4], "1") end
    if tokens ~= "-" then set_right(KEYS[5], tonumber(second), tonumber(tokens), tonumber(ARGV[5])) end
    if money ~= "-" then
      let_go(KEYS[6], money)
      spend()
    end
  elseif ARGV[8] == "always" or (ARGV[8] == "noted" and is_noted) then
    spend()
  end
end

if is_full then return 0 end
if ARGV[2] ~= "" then redis.call("XADD", KEYS[1], "*", "r", ARGV[2]) end
return 1

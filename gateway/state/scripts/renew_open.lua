-- Say that what a worker's open requests of a key hold (places or nano-dollars) is still held: it would be forgotten.
-- KEYS[1] what is counted of the key, or its money (`keys.py` says their shapes)
-- KEYS[2] what the worker's open requests hold (hash: request id -> "second tokens nano-dollars open")
-- ARGV[1] worker   ARGV[2] how much is held   ARGV[3] lifetime of a count, s   ARGV[4] lifetime of KEYS[1], s,
-- 0 = for ever   ARGV[5] "open" or "money", what is told of KEYS[1]   ARGV[6] ids of requests that were asked for and not
-- answered, separated by spaces: they count as much as they were given   ARGV[7] now, unix seconds (tests only)
-- Writes the amount too: after a restart of the server that lost its last second, the worker knows better.
-- Returns 1.
local call, pack, unpacked = redis.call, struct.pack, struct.unpack
local name, own_count, own_dead = KEYS[1], "c:" .. ARGV[1], "d:" .. ARGV[1]
local is_open, amount = ARGV[5] == "open", tonumber(ARGV[2])
for id in string.gmatch(ARGV[6], "%S+") do
  local holds = call("HGET", KEYS[2], id)
  if holds then
    local money, open = string.match(holds, "%S+ %S+ (%S+) (%S+)")
    amount = amount + (tonumber(is_open and open or money) or 0)
  end
end
local state = call("HMGET", name, "x", own_count, own_dead)
local more = amount - (state[2] and unpacked("<dd", state[2]) or 0)
call("HSET", name, own_count, pack("<dd", amount, tonumber(ARGV[7] or call("TIME")[1]) + tonumber(ARGV[3])))
-- Without its sums the next take adds up what all workers told.
if state[1] and is_open then
  local requests, tokens, latest, requests_now, tokens_now, oldest, open, soonest = unpacked("<dddddddd", state[1])
  call("HSET", name, "x",
    pack("<dddddddd", requests, tokens, latest, requests_now, tokens_now, oldest, open + more, soonest))
elseif state[1] then
  local held, soonest, kept = unpacked("<ddd", state[1])
  if state[3] then  -- it was late, and what it held counted as spent
    kept = kept - unpacked("<dd", state[3])
    call("HDEL", name, own_dead)
  end
  call("HSET", name, "x", pack("<ddd", held + more, soonest, kept))
end
if ARGV[4] ~= "0" then call("EXPIRE", name, ARGV[4]) end
return 1

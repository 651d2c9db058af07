-- Put what a worker admitted while the server was away into a key's window, in the second in which it happened.
-- KEYS[1] what is counted of the key (`keys.py` says its shape)
-- ARGV[1] how long ago, s   ARGV[2] requests   ARGV[3] tokens   ARGV[4] now, unix seconds (tests only)
-- Returns 1 when it counts, 0 when it was so long ago that it does not. Not idempotent: an answer that is lost may
-- mean that it is charged twice; it leaves the window all the same.
if tonumber(ARGV[1]) > 60 then return 0 end
local call, name, pack, unpacked = redis.call, KEYS[1], struct.pack, struct.unpack
local now = tonumber(ARGV[4] or call("TIME")[1])
local second, more, more_tokens = now - tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local known = call("HGET", name, "x")
local requests, tokens, latest, requests_now, tokens_now, oldest, open, soonest = 0, 0, 0, 0, 0, second, 0, 0
if known then requests, tokens, latest, requests_now, tokens_now, oldest, open, soonest = unpacked("<dddddddd", known) end
if latest < now - 60 then
  for gone = oldest, latest - 1 do call("HDEL", name, gone) end
  requests, tokens, latest, requests_now, tokens_now, oldest = 0, 0, second, 0, 0, second
end
requests, tokens = requests + more, tokens + more_tokens
if second < latest then
  local there = call("HGET", name, second)
  local then_requests, then_tokens = 0, 0
  if there then then_requests, then_tokens = unpacked("<dd", there) end
  call("HSET", name, second, pack("<dd", then_requests + more, then_tokens + more_tokens))
  oldest = math.min(oldest, second)
else
  if second > latest then
    call("HSET", name, latest, pack("<dd", requests_now, tokens_now))
    requests_now, tokens_now, latest = 0, 0, second
  end
  requests_now, tokens_now = requests_now + more, tokens_now + more_tokens
end
call("HSET", name, "x",
  pack("<dddddddd", requests, tokens, latest, requests_now, tokens_now, oldest, open, soonest))
call("EXPIRE", name, 75)
return 1

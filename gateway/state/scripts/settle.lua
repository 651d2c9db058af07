-- Append a request's record to the ledger's stream, and forget that it was in flight and open.
-- KEYS[1] stream of records   KEYS[2] requests in flight of the worker (hash)   KEYS[3] the key's open requests (hash)
-- ARGV[1] request id   ARGV[2] record   ARGV[3] most entries the stream may hold
-- ARGV[4] worker, or empty when the request took no open slot
-- Returns 1 when appended, 0 when the stream is full (the worker spools to disk; nothing is trimmed here, since
-- only what SQL has acknowledged may go, and the note stays until the record is safe). Settling twice appends twice,
-- and the ledger keeps one row per id; the slot is given back once, by whoever finds the note in flight.
if redis.call("XLEN", KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
local noted = redis.call("HDEL", KEYS[2], ARGV[1])
if noted == 1 and ARGV[4] ~= "" then
  if redis.call("HINCRBY", KEYS[3], "c:" .. ARGV[4], -1) < 0 then redis.call("HDEL", KEYS[3], "c:" .. ARGV[4]) end
end
redis.call("XADD", KEYS[1], "*", "r", ARGV[2])
return 1

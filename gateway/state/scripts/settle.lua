-- Append a request's record to the ledger's stream and forget that it was in flight.
-- KEYS[1] stream of records   KEYS[2] requests in flight of the worker (hash)
-- ARGV[1] request id   ARGV[2] record   ARGV[3] most entries the stream may hold
-- Returns 1 when appended, 0 when the stream is full (the worker spools to disk; nothing is trimmed here, since
-- only what SQL has acknowledged may go). Settling twice appends twice; the ledger keeps one row per id.
if redis.call("XLEN", KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
redis.call("XADD", KEYS[1], "*", "r", ARGV[2])
redis.call("HDEL", KEYS[2], ARGV[1])
return 1

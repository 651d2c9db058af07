-- Hand stored bodies over to the admin process, unless too many wait there already.
-- KEYS[1] the stream   ARGV[1] most entries   ARGV[2] the entry   ARGV[3] lifetime of the stream without news, ms
-- Returns 1 when it was put there, 0 when the stream is full.
if redis.call("XLEN", KEYS[1]) >= tonumber(ARGV[1]) then return 0 end
redis.call("XADD", KEYS[1], "*", "b", ARGV[2])
redis.call("PEXPIRE", KEYS[1], ARGV[3])
return 1

-- Take the oldest records out of the stream, once SQL has them.
-- KEYS[1] stream of records   ARGV[1] id of the last of them   ARGV[2] the smallest id after it
-- Returns how many are gone.
-- Whatever was added after the last has a greater id, so all up to it can go at once; but only where it is: a replica that
-- took over may never have got it, and may give smaller ids to records that nobody has read.
if #redis.call("XRANGE", KEYS[1], ARGV[1], ARGV[1]) == 0 then return 0 end
return redis.call("XTRIM", KEYS[1], "MINID", ARGV[2])

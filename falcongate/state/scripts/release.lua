-- Gives back a place of a concurrency limit.
--
-- KEYS   the places, as `lease.lua` writes them
-- ARGV   the owner
-- Reply  1 if it still had one else 0
-- Keeps  a place that has ended and belongs to somebody else now is not touched.
return redis.call('ZREM', KEYS[1], ARGV[1])

-- Remembers which target keeps a session.
--
-- KEYS   the session: a hash, target and the seconds for which it is remembered without being used
-- ARGV   target, seconds
-- Reply  1
-- Keeps  it lives for that long, and for as long again after each use.
redis.call('HSET', KEYS[1], 'target', ARGV[1], 'life_s', ARGV[2])
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1

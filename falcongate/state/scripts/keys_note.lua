-- Remembers the keys that an issuer has published.
--
-- KEYS   the keys of one address: a hash, text (JSON) and at_ms, when they were fetched (Unix ms)
-- ARGV   text, seconds for which they are remembered
-- Reply  1
-- Keeps  what was fetched last stands there.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], 'text', ARGV[1], 'at_ms', string.format('%.0f', now))
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1

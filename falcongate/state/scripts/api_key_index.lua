-- Puts an API key on the list of all, or changes for how long it stands there.
--
-- KEYS   the list: a sorted set, id to when the key will be forgotten (Unix s, or never)
-- ARGV   id, seconds until then or 0 for never
-- Reply  1
-- Keeps  what is forgotten is not listed.
local time = redis.call('TIME')
local now, for_s = time[1] + 0, tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
-- A second more: what can be found should be listed.
local ends = for_s > 0 and string.format('%d', now + math.ceil(for_s) + 1) or '+inf'
redis.call('ZADD', KEYS[1], ends, ARGV[1])
return 1

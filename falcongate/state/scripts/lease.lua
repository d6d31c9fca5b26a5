-- Takes one of the places of a concurrency limit, or holds one for longer.
--
-- KEYS   the places: a sorted set, owner to end (Unix ms)
-- ARGV   most places, owner, ms to hold it
-- Reply  1 if granted else 0, and how many are taken now
-- Keeps  never are more places held than the limit of the last that asked; what has ended is free.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local limit, owner, ttl = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])

redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local taken = redis.call('ZCARD', KEYS[1])
local is_held = redis.call('ZSCORE', KEYS[1], owner)
if not is_held and taken >= limit then return {0, taken} end

redis.call('ZADD', KEYS[1], now + ttl, owner)
redis.call('PEXPIRE', KEYS[1], math.max(ttl, redis.call('PTTL', KEYS[1])))
return {1, is_held and taken or taken + 1}

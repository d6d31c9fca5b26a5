-- Ends an API key at once, and tells everybody.
--
-- KEYS   the key, as `api_key_create.lua` writes it
-- ARGV   channel, id, why, seconds for which it is kept
-- Reply  now (Unix s) and the hash; nothing if there is no such key
-- Keeps  a revoked key stays revoked, with the reason that was given first.
if redis.call('EXISTS', KEYS[1]) == 0 then return {} end
local time = redis.call('TIME')
local now = string.format('%.3f', time[1] + math.floor(time[2] / 1000) / 1000)
if redis.call('HEXISTS', KEYS[1], 'revoked_s') == 0 then
  redis.call('HSET', KEYS[1], 'revoked_s', now, 'why', ARGV[3])
  redis.call('EXPIRE', KEYS[1], ARGV[4])
end
redis.call('PUBLISH', ARGV[1], ARGV[2])
return {now, redis.call('HGETALL', KEYS[1])}

-- Gives an API key another secret, and tells everybody.
--
-- KEYS   the key, as `api_key_create.lua` writes it
-- ARGV   channel, id, SHA-256 of the new secret, seconds for which the present one is good, seconds that
--        the key holds from now, 0 for without an end, or an empty text if its end stays as it is;
--        seconds for which it is kept when it has ended
-- Reply  now (Unix s) and the hash; nothing if there is no such key, or it was revoked
-- Keeps  two secrets are good at most, the newer one and for its time the one before.
local digest = redis.call('HGET', KEYS[1], 'digest')
if not digest or redis.call('HEXISTS', KEYS[1], 'revoked_s') == 1 then return {} end
local time = redis.call('TIME')
local now = time[1] + math.floor(time[2] / 1000) / 1000
local function text(seconds) return string.format('%.3f', seconds) end

local grace_s, for_s = tonumber(ARGV[4]), tonumber(ARGV[5])
redis.call('HSET', KEYS[1], 'digest', ARGV[3], 'rotated_s', text(now))
if grace_s > 0 then
  redis.call('HSET', KEYS[1], 'old_digest', digest, 'old_ends_s', text(now + grace_s))
else
  redis.call('HDEL', KEYS[1], 'old_digest', 'old_ends_s')
end
if for_s and for_s > 0 then
  redis.call('HSET', KEYS[1], 'ends_s', text(now + for_s))
  redis.call('EXPIRE', KEYS[1], math.ceil(for_s) + ARGV[6])
elseif for_s then
  redis.call('HDEL', KEYS[1], 'ends_s')
  redis.call('PERSIST', KEYS[1])
end
redis.call('PUBLISH', ARGV[1], ARGV[2])
return {text(now), redis.call('HGETALL', KEYS[1])}

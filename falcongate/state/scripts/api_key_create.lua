-- Keeps a new API key, and tells everybody that there is one of this id.
--
-- KEYS   the key: a hash
-- ARGV   channel, id, SHA-256 of the secret, name, by whom, services, rates, seconds it holds or 0,
--        seconds for which it is kept when it has ended
-- Reply  now (Unix s) and the hash; nothing if the id is taken
-- Keeps  a key that there is stays as it is.
if redis.call('EXISTS', KEYS[1]) == 1 then return {} end
local time = redis.call('TIME')
local now = time[1] + math.floor(time[2] / 1000) / 1000
local function text(seconds) return string.format('%.3f', seconds) end

redis.call('HSET', KEYS[1], 'digest', ARGV[3], 'name', ARGV[4], 'by', ARGV[5],
  'services', ARGV[6], 'rate', ARGV[7], 'created_s', text(now))
local for_s = tonumber(ARGV[8])
if for_s > 0 then
  redis.call('HSET', KEYS[1], 'ends_s', text(now + for_s))
  redis.call('EXPIRE', KEYS[1], math.ceil(for_s) + ARGV[9])
end
redis.call('PUBLISH', ARGV[1], ARGV[2])
return {text(now), redis.call('HGETALL', KEYS[1])}

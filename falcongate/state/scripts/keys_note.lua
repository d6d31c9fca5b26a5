-- Remembers the keys that an issuer has published.
--
-- KEYS   the keys of one address: a hash, text (JSON) and at_ms, when they were fetched (Unix ms)
-- ARGV   text, seconds for which they are remembered, how many ms ago they were fetched
-- Reply  1
-- Keeps  what was fetched last stands there, for as long as anybody has wished.
local time = redis.call('TIME')
local at = time[1] * 1000 + math.floor(time[2] / 1000) - ARGV[3]
local known = redis.call('HGET', KEYS[1], 'at_ms')
if not known or at >= tonumber(known) then
  redis.call('HSET', KEYS[1], 'text', ARGV[1], 'at_ms', string.format('%.0f', at))
end
if redis.call('TTL', KEYS[1]) < tonumber(ARGV[2]) then
  redis.call('EXPIRE', KEYS[1], ARGV[2])
end
return 1

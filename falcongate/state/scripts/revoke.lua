-- Makes a token, or all of a subject until now, void.
--
-- KEYS   the revocations: a sorted set, member to end (Unix ms); a hash, member to JSON of when, by, why
-- ARGV   channel, most members, member, ms it lasts, by whom, why
-- Reply  the revocation as JSON, or an empty text if there is no room
-- Keeps  both keys have the same members; each revocation is published in the step that made it.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local most, member, ttl = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])

for _, over in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now)) do
  redis.call('ZREM', KEYS[1], over)
  redis.call('HDEL', KEYS[2], over)
end
local before = redis.call('ZSCORE', KEYS[1], member)
if not before and redis.call('ZCARD', KEYS[1]) >= most then return '' end

local ends = math.max(now + ttl, before and tonumber(before) or 0)
local told = cjson.encode({member = member, at_s = now / 1000, ends_s = ends / 1000, now_s = now / 1000,
  by = ARGV[5], why = ARGV[6]})
redis.call('ZADD', KEYS[1], ends, member)
redis.call('HSET', KEYS[2], member, told)
for _, key in ipairs(KEYS) do
  redis.call('PEXPIRE', key, math.max(ends - now, redis.call('PTTL', key)))
end
redis.call('PUBLISH', ARGV[1], told)
return told

-- Takes a revocation back.
--
-- KEYS   the revocations, see `revoke.lua`
-- ARGV   channel, member
-- Reply  1, or 0 if there was none
-- Keeps  what was taken back is published as a revocation that has ended.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ends = redis.call('ZSCORE', KEYS[1], ARGV[2])
redis.call('ZREM', KEYS[1], ARGV[2])
redis.call('HDEL', KEYS[2], ARGV[2])
if not ends or tonumber(ends) <= now then return 0 end

redis.call('PUBLISH', ARGV[1], cjson.encode({member = ARGV[2], at_s = 0, ends_s = 0, now_s = now / 1000}))
return 1

-- Tells all revocations that hold.
--
-- KEYS   the revocations, see `revoke.lua`
-- ARGV   none
-- Reply  the time now (Unix s, as a text), then each revocation as JSON, those that end first before
-- Keeps  nothing is written: whoever revokes next forgets what has ended.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local told = {string.format('%.3f', now / 1000)}
local members = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf')
for first = 1, #members, 1000 do
  local some = {unpack(members, first, math.min(first + 999, #members))}
  for _, one in ipairs(redis.call('HMGET', KEYS[2], unpack(some))) do
    if one then told[#told + 1] = one end
  end
end
return told

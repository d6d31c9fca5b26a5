-- Holds places of a concurrency limit for longer.
--
-- KEYS   the places, as `lease.lua` writes them
-- ARGV   ms to hold them, and the owners
-- Reply  how many of them still had one
-- Keeps  a place that has ended stays so: it may be another's by now.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ttl, found = tonumber(ARGV[1]), 0
for i = 2, #ARGV do
  local ends = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if ends and tonumber(ends) > now then
    redis.call('ZADD', KEYS[1], now + ttl, ARGV[i])
    found = found + 1
  end
end
if found > 0 then redis.call('PEXPIRE', KEYS[1], math.max(ttl, redis.call('PTTL', KEYS[1]))) end
return found

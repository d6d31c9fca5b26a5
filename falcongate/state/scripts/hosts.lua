-- Tells which hosts are alive; says first that one is, if it is named.
--
-- KEYS   the hosts: a hash, name to the time until which it counts as alive (Unix s) and what it says
-- ARGV   name of the host that is alive or an empty text, ms for which it is, and what it says of itself
-- Reply  name and saying of each host that is alive
-- Keeps  a host that has been silent for longer than it said is gone.
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
if ARGV[1] ~= '' then
  local ends = string.format('%.3f', now + ARGV[2] / 1000)
  redis.call('HSET', KEYS[1], ARGV[1], ends .. ' ' .. ARGV[3])
  redis.call('PEXPIRE', KEYS[1], math.max(ARGV[2] + 0, redis.call('PTTL', KEYS[1])))
end

local fields, alive = redis.call('HGETALL', KEYS[1]), {}
for i = 1, #fields, 2 do
  local ends, says = string.match(fields[i + 1], '^(%S+) (.*)$')
  if tonumber(ends) > now then
    alive[#alive + 1] = fields[i]
    alive[#alive + 1] = says
  else
    redis.call('HDEL', KEYS[1], fields[i])
  end
end
return alive

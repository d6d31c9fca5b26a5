-- Takes the place of a probe.
--
-- KEYS   of one breaker, see `breaker.lua`
-- ARGV   channel; name, owner, most probes at a time, successes that close it, ms for which it is held
-- Reply  the breaker; 1 if the probe may go else 0
-- Keeps  in HALF_OPEN only, no more than `probes` at a time, and together with those that succeeded no more
--        than can still be needed. Who asks again holds it for longer;
--        who died with one leaves it when its time ends.
local breaker = find(ARGV[2], 1)
local owner, probes, successes, lease_ms = ARGV[3], ARGV[4] + 0, ARGV[5] + 0, ARGV[6] + 0
local out, granted = redis.call('ZCARD', breaker.probes), 0
if breaker.values.state ~= 'HALF_OPEN' then
  granted = 0
elseif redis.call('ZSCORE', breaker.probes, owner)
    or (out < probes and out + breaker.values.successes < math.max(probes, successes)) then
  redis.call('ZADD', breaker.probes, now + lease_ms, owner)
  redis.call('PEXPIRE', breaker.probes, math.max(lease_ms, redis.call('PTTL', breaker.probes)))
  granted = 1
end
return {told(breaker), granted}

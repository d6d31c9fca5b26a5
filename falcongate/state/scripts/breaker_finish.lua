-- Takes the result of a probe: a failure opens the breaker again, enough successes close it.
--
-- KEYS   of one breaker, see `breaker.lua`
-- ARGV   channel; name, owner, generation of the probe, outcome, successes that close it, open_s, max_open_s
-- Reply  the breaker
-- Keeps  the result of another generation counts for nothing. A success counts once, and only if its place
--        has not ended; a failure always: a service that hangs makes every probe late.
local breaker = find(ARGV[2], 1)
local values, owner, outcome = breaker.values, ARGV[3], ARGV[5]
if ARGV[4] + 0 == values.generation and values.state == 'HALF_OPEN' then
  local is_held = redis.call('ZREM', breaker.probes, owner) == 1
  if outcome == 'FAILURE' then
    values.total_calls, values.total_failures = values.total_calls + 1, values.total_failures + 1
    values.last_failure_s = now_s
    open(breaker, ARGV[7] + 0, ARGV[8] + 0, owner, 'a probe failed')
  elseif outcome == 'SUCCESS' and is_held then
    values.total_calls, values.successes = values.total_calls + 1, values.successes + 1
    if values.successes >= ARGV[6] + 0 then
      move(breaker, 'CLOSED', 0, owner, string.format('%.0f probes succeeded', values.successes))
    else
      save(breaker)
    end
  end
end
return told(breaker)

-- Does what an operator says.
--
-- KEYS   of one breaker, see `breaker.lua`
-- ARGV   channel; name, order (open, close, disable, enable, reset), by whom, why, seconds it holds or 0
-- Reply  the breaker
-- Keeps  `enable` ends only what an operator began: a breaker that opened by itself stays so.
local FORCED = {open = 'FORCED_OPEN', close = 'FORCED_CLOSED', disable = 'DISABLED'}
local breaker = find(ARGV[2], 1)
local values, order, by, why, for_s = breaker.values, ARGV[3], ARGV[4], ARGV[5], ARGV[6] + 0
if FORCED[order] then
  values.opened_times = 0
  move(breaker, FORCED[order], for_s > 0 and now_s + for_s or 0, by, why)
elseif order == 'reset' then
  values.total_calls, values.total_failures, values.last_failure_s = 0, 0, 0
  move(breaker, 'CLOSED', 0, by, why)
elseif is_forced(values) then
  move(breaker, 'CLOSED', 0, by, why)
end
return told(breaker)

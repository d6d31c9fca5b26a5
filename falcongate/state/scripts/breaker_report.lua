-- Counts what became of calls and opens the breaker if that is enough.
--
-- KEYS   of one breaker, see `breaker.lua`. Counts of the window: start of a bucket (Unix ms) and host, to
--        calls, failures and slow ones
-- ARGV   channel; name, host, generation of the calls, calls, failures, slow; max failures, failure ratio,
--        slow ratio, min calls, window in s, buckets, quorum, open_s, max_open_s
-- Reply  the breaker; 1 if this host alone sees enough to open and the quorum does not
-- Keeps  news of another generation counts for nothing. It opens from CLOSED only.
local host, told_calls = ARGV[3], {calls = ARGV[5] + 0, failures = ARGV[6] + 0, slow = ARGV[7] + 0}
local max_failures, failure_ratio, slow_ratio = ARGV[8] + 0, ARGV[9] + 0, ARGV[10] + 0
local min_calls, window_s, buckets, quorum = ARGV[11] + 0, ARGV[12] + 0, ARGV[13] + 0, ARGV[14] + 0

local function add(sums, counts)
  for _, field in ipairs(COUNTS) do sums[field] = (sums[field] or 0) + counts[field] end
end

local function count(breaker)
  local width = math.ceil(window_s * 1000 / buckets)
  local start, all, hosts = now - now % width, {calls = 0, failures = 0, slow = 0}, {[host] = {}}
  local own = string.format('%.0f %s', start, host)
  local fields = redis.call('HGETALL', breaker.window)
  for i = 1, #fields, 2 do
    local began, of = string.match(fields[i], '^(%d+) (.*)$')
    local calls, failures, slow = string.match(fields[i + 1], '^(%d+) (%d+) (%d+)$')
    local counts = {calls = calls + 0, failures = failures + 0, slow = slow + 0}
    if began + 0 < start - buckets * width or began + 0 > start then
      redis.call('HDEL', breaker.window, fields[i])
    elseif fields[i] == own then
      add(told_calls, counts)
    else
      hosts[of] = hosts[of] or {}
      add(hosts[of], counts)
      add(all, counts)
    end
  end
  add(hosts[host], told_calls)
  add(all, told_calls)
  redis.call('HSET', breaker.window, own,
    string.format('%.0f %.0f %.0f', told_calls.calls, told_calls.failures, told_calls.slow))
  redis.call('PEXPIRE', breaker.window, (buckets + 1) * width)
  return all, hosts
end

local function reason(sums)
  if max_failures > 0 and sums.failures >= max_failures then
    return string.format('%.0f failures in %g s', sums.failures, window_s)
  end
  if sums.calls < min_calls or sums.calls == 0 then return nil end
  if failure_ratio > 0 and sums.failures / sums.calls >= failure_ratio then
    return string.format('%.0f of %.0f calls failed in %g s', sums.failures, sums.calls, window_s)
  end
  if slow_ratio > 0 and sums.slow / sums.calls >= slow_ratio then
    return string.format('%.0f of %.0f calls were slow in %g s', sums.slow, sums.calls, window_s)
  end
end

local breaker = find(ARGV[2], 1)
local values, is_alone = breaker.values, 0
if ARGV[4] + 0 == values.generation then
  values.total_calls = values.total_calls + told_calls.calls
  values.total_failures = values.total_failures + told_calls.failures
  if told_calls.failures > 0 then values.last_failure_s = now_s end
  local all, hosts = count(breaker)
  for _, field in ipairs(COUNTS) do values[field] = all[field] end
  local seeing = 0
  for _, sums in pairs(hosts) do seeing = seeing + (reason(sums) and 1 or 0) end
  local why = reason(quorum > 1 and hosts[host] or all)
  if values.state ~= 'CLOSED' or not why then
    save(breaker)
  elseif quorum > 1 and seeing < quorum then
    is_alone = 1
    save(breaker)
  else
    open(breaker, ARGV[15] + 0, ARGV[16] + 0, host, why)
  end
end
return {told(breaker), is_alone}

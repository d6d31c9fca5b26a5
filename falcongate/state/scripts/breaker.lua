-- What every script of the breaker begins with: its state as it is now, and transitions.
--
-- KEYS   of each breaker four: state (hash), counts of the window (hash), probes (sorted set, owner to
--        end in Unix ms), history (stream)
-- ARGV   the channel on which transitions are published; then what the script itself says
-- Reply  a breaker is told as JSON, field by field as in the hash, with `now_s` and `probes` beside
-- Keeps  each transition raises the generation, forgets counts and probes, is written to the history and
--        is published, all in the step that made it.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local now_s = now / 1000
local KEPT_S = 30 * 24 * 3600
local HISTORY_LENGTH = 200
local COUNTS = {'calls', 'failures', 'slow'}

local function is_forced(values)
  return values.state ~= 'CLOSED' and values.state ~= 'OPEN' and values.state ~= 'HALF_OPEN'
end

local function text(value)
  return type(value) == 'number' and string.format('%.14g', value) or value
end

local function save(breaker)
  local fields = {}
  for field, value in pairs(breaker.values) do
    fields[#fields + 1] = field
    fields[#fields + 1] = text(value)
  end
  redis.call('HSET', breaker.key, unpack(fields))
  if is_forced(breaker.values) and breaker.values.until_s == 0 then
    redis.call('PERSIST', breaker.key) -- it holds until somebody ends it, were it in a year
  else
    redis.call('EXPIRE', breaker.key, KEPT_S + math.max(0, math.ceil(breaker.values.until_s - now_s)))
  end
end

local function told(breaker)
  local values = {name = breaker.name, now_s = now_s, probes = redis.call('ZCARD', breaker.probes)}
  for field, value in pairs(breaker.values) do values[field] = value end
  return cjson.encode(values)
end

local function move(breaker, state, until_s, by, why)
  local values = breaker.values
  values.before, values.state, values.since_s, values.until_s = values.state, state, now_s, until_s
  values.generation = math.max(values.generation + 1, tonumber(time[1])) -- also after all was lost
  values.by, values.why, values.successes = by, why, 0
  redis.call('XADD', breaker.history, 'MAXLEN', HISTORY_LENGTH, '*', 'at_s', text(now_s),
    'before', values.before, 'state', state, 'generation', text(values.generation), 'by', by, 'why', why,
    'calls', text(values.calls), 'failures', text(values.failures), 'slow', text(values.slow))
  redis.call('EXPIRE', breaker.history, KEPT_S)
  redis.call('DEL', breaker.window, breaker.probes)
  if state == 'CLOSED' then
    values.opened_times = 0
    for _, field in ipairs(COUNTS) do values[field] = 0 end
  end
  save(breaker)
  redis.call('PUBLISH', ARGV[1], told(breaker))
end

local function open(breaker, open_s, max_open_s, by, why)
  local pause_s = math.min(open_s * 2 ^ math.min(breaker.values.opened_times, 30), max_open_s)
  breaker.values.opened_times = breaker.values.opened_times + 1
  move(breaker, 'OPEN', now_s + pause_s, by, why)
end

local function find(name, first)
  local values = {state = 'CLOSED', before = 'CLOSED', generation = 0, since_s = 0, until_s = 0, by = '',
    why = '', calls = 0, failures = 0, slow = 0, opened_times = 0, successes = 0, total_calls = 0,
    total_failures = 0, last_failure_s = 0}
  local breaker = {name = name, key = KEYS[first], window = KEYS[first + 1], probes = KEYS[first + 2],
    history = KEYS[first + 3], values = values}
  local fields = redis.call('HGETALL', breaker.key)
  for i = 1, #fields, 2 do
    local field, value, known = fields[i], fields[i + 1], values[fields[i]]
    if known ~= nil then values[field] = type(known) == 'number' and tonumber(value) or value end
  end
  redis.call('ZREMRANGEBYSCORE', breaker.probes, '-inf', now)
  if values.until_s > 0 and now_s >= values.until_s then
    move(breaker, values.state == 'OPEN' and 'HALF_OPEN' or 'CLOSED', 0, 'time', values.state .. ' has ended')
  end
  return breaker
end


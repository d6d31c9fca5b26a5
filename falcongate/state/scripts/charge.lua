-- Charges requests to their windows: each request to all of them, or to none if one refuses.
--
-- KEYS   the windows of the first request, of the second, ...; each a hash, start of a bucket (Unix ms)
--        to what it was charged
-- ARGV   number of requests; for each: number of its keys, number of its arguments, and for each key:
--        limit, most in one bucket, width of a bucket in ms, number of buckets, cost, 1 if it only counts
-- Reply  for each request a list: 1 if admitted else 0, and for each key: what remains, ms until the reset
--        (-1: never), and the bucket charged, 0 if it fits and was not charged, -1 if it does not fit
-- Keeps  in no interval of buckets * width is more than the limit charged: the bucket of now and `buckets`
--        before it count in full. A clock that steps back goes on in the newest, so that none leaves early.
-- PERF: requests that are asked together often share windows: each is read once and written once.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = {}

local function read(key, limit, burst, width, buckets)
  local start, used, counts, stale = now - now % width, 0, {}, {}
  local fields = redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    local began = tonumber(fields[i])
    counts[began] = tonumber(fields[i + 1])
    if began > start then start = began end
  end
  local first, oldest = start - buckets * width, start
  for began, count in pairs(counts) do
    if began < first then
      stale[#stale + 1] = began
    else
      used = used + count
      if began < oldest and count > 0 then oldest = began end
    end
  end
  local life = (buckets + 1) * width
  -- After a step back it would lie there until the time at which it was made comes again.
  if start > now and redis.call('PTTL', key) > life then redis.call('PEXPIRE', key, life) end
  return {limit = limit, burst = burst, width = width, start = start, life = life, oldest = oldest,
    counts = counts, stale = stale, free = limit - used, room = burst - (counts[start] or 0), charged = 0}
end

local function charge(window, cost)
  window.counts[window.start] = (window.counts[window.start] or 0) + cost
  window.free, window.room = window.free - cost, window.room - cost
  window.charged = window.charged + cost
end

local function write(key, window)
  redis.call('HINCRBY', key, window.start, window.charged)
  -- Not only for a new bucket: one that was made before its time, after a step back, would end too early.
  redis.call('PEXPIRE', key, window.life)
  if #window.stale > 0 then redis.call('HDEL', key, unpack(window.stale)) end
end

local function until_freed(window, amount)
  for start = window.oldest, window.start, window.width do
    amount = amount - (window.counts[start] or 0)
    if amount <= 0 then return math.min(start + window.life - now, window.life) end
  end
  return 0
end

local function reset_of(window, cost, fits)
  local next_bucket = math.min(window.start + window.width - now, window.life)
  if fits then return window.room < window.free and next_bucket or until_freed(window, 1) end
  if cost > window.limit or cost > window.burst then return -1 end
  local freed = cost > window.free and until_freed(window, cost - window.free) or 0
  return math.max(freed, cost > window.room and next_bucket or 0)
end

local replies, key, at = {}, 0, 2
for request = 1, tonumber(ARGV[1]) do
  local windows, costs, fits, reply, admitted = {}, {}, {}, {1}, true
  for i = 1, tonumber(ARGV[at]) do
    local name = KEYS[key + i]
    local limit, burst, width, buckets, cost = unpack(ARGV, at + i * 6 - 4, at + i * 6)
    local window = known[name]
    if not window then
      window = read(name, limit + 0, burst + 0, width + 0, buckets + 0)
      known[name] = window
    end
    windows[i], costs[i] = window, cost + 0
    fits[i] = costs[i] <= window.free and costs[i] <= window.room
    admitted = admitted and (fits[i] or ARGV[at + i * 6 + 1] == '1')
  end
  for i, window in ipairs(windows) do
    local charged = admitted and fits[i] and costs[i] > 0
    if charged then charge(window, costs[i]) end
    reply[i * 3 - 1] = math.max(0, math.min(window.free, window.room))
    reply[i * 3] = reset_of(window, costs[i], fits[i])
    reply[i * 3 + 1] = charged and window.start or fits[i] and 0 or -1
  end
  reply[1] = admitted and 1 or 0
  replies[request] = reply
  key, at = key + #windows, at + 2 + #windows * 6
end
for name, window in pairs(known) do
  if window.charged > 0 then write(name, window) end
end
return replies

-- Adds what one worker has served and refused since it told last.
--
-- KEYS   the totals: a hash; what the keys of slots begin with: each a hash, service to its counts; what
--        those of refused callers begin with: each a sorted set, caller to how often
-- ARGV   seconds of a slot, for which slots are kept, and of a period; most callers of a period; as JSON:
--        totals, the counts of services, and refused callers by limit
-- Reply  1
-- Keeps  what is named by time or holds callers ends by itself; slots and periods end where the next begin.
-- All keys have the tag of those that are named, so that they lie together in a cluster as well.
-- PERF: a call for each number, or a format, would take three times as long. Lua writes whole numbers as
-- they are up to 10^14.
local now = redis.call('TIME')[1] + 0
local slot_s, kept_s, period_s, most = ARGV[1] + 0, ARGV[2] + 0, ARGV[3] + 0, ARGV[4] + 0
local news = cjson.decode(ARGV[5])
local CHUNK = 1000

local function add(key, numbers)
  local fields, values = {}, {}
  for field in pairs(numbers) do fields[#fields + 1] = field end
  for first = 1, #fields, CHUNK do
    local last = math.min(first + CHUNK - 1, #fields)
    local known, pairs_ = redis.call('HMGET', key, unpack(fields, first, last)), {}
    for i = first, last do
      local sums, counts, at = {}, numbers[fields[i]], 0
      for number in string.gmatch(known[i - first + 1] or '', '%d+') do
        at = at + 1
        sums[at] = number + (counts[at] or 0)
      end
      for more = at + 1, #counts do sums[more] = counts[more] end
      pairs_[#pairs_ + 1], pairs_[#pairs_ + 2] = fields[i], table.concat(sums, ' ')
    end
    redis.call('HSET', key, unpack(pairs_))
  end
  return #fields
end

add(KEYS[1], news.totals)
local slot = string.format('%s:%.0f', KEYS[2], now - now % slot_s)
if add(slot, news.services) > 0 then redis.call('EXPIRE', slot, kept_s + slot_s) end

for limit, refused in pairs(news.callers) do
  local period = string.format('%s:%s:%.0f', KEYS[3], limit, now - now % period_s)
  for caller, number in pairs(refused) do redis.call('ZINCRBY', period, number, caller) end
  redis.call('ZREMRANGEBYRANK', period, 0, -most - 1)
  redis.call('EXPIRE', period, period_s * 2)
end
return 1

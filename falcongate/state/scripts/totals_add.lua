-- Adds what one worker has served and refused since it told last.
--
-- KEYS   the totals: a hash; what the keys of slots begin with: each a hash, service to its counts; what
--        those of refused callers begin with: each a sorted set, caller to how often
-- ARGV   seconds of a slot, for which slots are kept, and of a period; most callers of a period; as JSON:
--        totals, the counts of services, and refused callers by limit
-- Reply  1
-- Keeps  what is named by time or holds callers ends by itself; slots and periods end where the next begin.
-- All keys have the tag of those that are named, so that they lie together in a cluster as well.
local now = redis.call('TIME')[1] + 0
local slot_s, kept_s, period_s, most = ARGV[1] + 0, ARGV[2] + 0, ARGV[3] + 0, ARGV[4] + 0
local news = cjson.decode(ARGV[5])

for name, number in pairs(news.totals) do
  redis.call('HINCRBY', KEYS[1], name, string.format('%.0f', number))
end

local slot = string.format('%s:%.0f', KEYS[2], now - now % slot_s)
for service, counts in pairs(news.services) do
  local at, sums = 0, {}
  for known in string.gmatch(redis.call('HGET', slot, service) or '', '%d+') do
    at = at + 1
    sums[at] = known + 0
  end
  for i, count in ipairs(counts) do sums[i] = (sums[i] or 0) + count end
  for i, sum in ipairs(sums) do sums[i] = string.format('%.0f', sum) end
  redis.call('HSET', slot, service, table.concat(sums, ' '))
  redis.call('EXPIRE', slot, kept_s + slot_s)
end

for limit, refused in pairs(news.callers) do
  local period = string.format('%s:%s:%.0f', KEYS[3], limit, now - now % period_s)
  for caller, number in pairs(refused) do
    redis.call('ZINCRBY', period, string.format('%.0f', number), caller)
  end
  redis.call('ZREMRANGEBYRANK', period, 0, -most - 1)
  redis.call('EXPIRE', period, period_s * 2)
end
return 1

-- Tells which callers were refused most lately.
--
-- KEYS   what the keys of refused callers begin with, see `totals_add.lua`
-- ARGV   seconds of a period, how many callers are asked for, names of limits
-- Reply  for each limit: callers and how often each was refused, most first
-- Keeps  nothing is changed; the period of now and the one before count.
local now = redis.call('TIME')[1] + 0
local begun, reply = now - now % ARGV[1], {}
for i = 3, #ARGV do
  local refused, callers, top = {}, {}, {}
  for start = begun - ARGV[1], begun, ARGV[1] + 0 do
    local key = string.format('%s:%s:%.0f', KEYS[1], ARGV[i], start)
    local told = redis.call('ZREVRANGE', key, 0, -1, 'WITHSCORES')
    for at = 1, #told, 2 do
      if not refused[told[at]] then callers[#callers + 1] = told[at] end
      refused[told[at]] = (refused[told[at]] or 0) + told[at + 1]
    end
  end
  table.sort(callers, function(one, other)
    if refused[one] ~= refused[other] then return refused[one] > refused[other] end
    return one > other
  end)
  for at = 1, math.min(#callers, ARGV[2] + 0) do
    top[at * 2 - 1], top[at * 2] = callers[at], string.format('%.0f', refused[callers[at]])
  end
  reply[i - 2] = top
end
return reply

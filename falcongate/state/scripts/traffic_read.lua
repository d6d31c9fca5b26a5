-- Tells what was served lately.
--
-- KEYS   what the keys of slots begin with, see `totals_add.lua`
-- ARGV   seconds of a slot, and how many seconds are asked for
-- Reply  the time now (Unix ms), then each slot in which something was: its start (Unix s), and each
--        service with its counts
-- Keeps  nothing is changed.
local time = redis.call('TIME')
local last = time[1] - time[1] % ARGV[1]
local reply = {time[1] * 1000 + math.floor(time[2] / 1000)}
for start = last - ARGV[2] + ARGV[1], last, ARGV[1] + 0 do
  local fields = redis.call('HGETALL', string.format('%s:%.0f', KEYS[1], start))
  if #fields > 0 then reply[#reply + 1] = {start, fields} end
end
return reply

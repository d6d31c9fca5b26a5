-- Keeps decisions on requests, the last of them.
--
-- KEYS   the decisions: a stream
-- ARGV   how many are kept; for how many seconds after the last; then for each a request id and a text
-- Reply  how many were added
-- Keeps  about that many: whole nodes of the stream are dropped, which costs nothing.
local time = redis.call('TIME')
local at_s = string.format('%.3f', time[1] + math.floor(time[2] / 1000) / 1000)
for i = 3, #ARGV, 2 do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'at_s', at_s, 'id', ARGV[i], 'text', ARGV[i + 1])
end
redis.call('EXPIRE', KEYS[1], ARGV[2])
return (#ARGV - 2) / 2

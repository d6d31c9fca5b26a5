-- Notes a change that has been made.
--
-- KEYS   the audit: a stream
-- ARGV   how many changes are kept; who, from where, what was done, on what, why
-- Reply  the id of the entry
-- Keeps  never more than that many, the last ones.
local time = redis.call('TIME')
local at_s = string.format('%.3f', time[1] + math.floor(time[2] / 1000) / 1000)
return redis.call('XADD', KEYS[1], 'MAXLEN', ARGV[1], '*',
  'at_s', at_s, 'who', ARGV[2], 'from', ARGV[3], 'did', ARGV[4], 'on', ARGV[5], 'why', ARGV[6])

-- Gives back what a request was charged.
--
-- KEYS   windows, as `charge.lua` writes them
-- ARGV   for each key: the bucket that was charged, and how much
-- Reply  how many buckets still had it
-- Keeps  nothing is taken from a bucket that has gone, nor more than it holds.
local found = 0
for i, key in ipairs(KEYS) do
  local bucket, cost = ARGV[i * 2 - 1], tonumber(ARGV[i * 2])
  local count = redis.call('HGET', key, bucket)
  if count and tonumber(count) >= cost then
    redis.call('HINCRBY', key, bucket, -cost)
    found = found + 1
  end
end
return found

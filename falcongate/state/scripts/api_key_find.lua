-- Tells how API keys are.
--
-- KEYS   of each key its hash, as `api_key_create.lua` writes it
-- Reply  now (Unix s), then each hash; an empty one for a key that there is not
local time = redis.call('TIME')
local found = {string.format('%.3f', time[1] + math.floor(time[2] / 1000) / 1000)}
for i, key in ipairs(KEYS) do found[i + 1] = redis.call('HGETALL', key) end
return found

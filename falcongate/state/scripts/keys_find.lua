-- Tells the keys that an issuer has published, as far as anybody has fetched them.
--
-- KEYS   the keys of one address, see `keys_note.lua`
-- ARGV   none
-- Reply  their text, and how many ms ago they were fetched; nothing if nobody has
-- Keeps  nothing is written.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local found = redis.call('HMGET', KEYS[1], 'text', 'at_ms')
if not found[1] then return {} end
return {found[1], math.max(0, now - found[2])}

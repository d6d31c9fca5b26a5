-- Tells which target keeps a session, and remembers it for longer.
--
-- KEYS   the session, as `session_note.lua` writes it
-- Reply  target and seconds; nothing if it is not known
-- Keeps  asking for a session that is not there leaves nothing behind.
local found = redis.call('HMGET', KEYS[1], 'target', 'life_s')
if not found[1] or not found[2] then return {} end
redis.call('EXPIRE', KEYS[1], found[2])
return found

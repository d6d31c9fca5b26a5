-- Forgets a session that has ended.
--
-- KEYS   the session, as `session_note.lua` writes it
-- Reply  1 if it was known else 0
return redis.call('DEL', KEYS[1])

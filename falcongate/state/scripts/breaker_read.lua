-- Tells how breakers are.
--
-- KEYS   of the first breaker, of the second, ...; see `breaker.lua`
-- ARGV   channel; their names
-- Reply  each breaker
-- Keeps  nothing is changed but what time has changed: a state whose end has come.
local reply = {}
for i = 2, #ARGV do reply[i - 1] = told(find(ARGV[i], (i - 2) * 4 + 1)) end
return reply

-- Tries commands that the other scripts need, and tells which of them may not be used.
--
-- KEYS   a key that is nobody's: it is made and taken away here
-- ARGV   commands, their words parted by spaces; K stands for the key
-- Reply  for each that failed, the command and what the server says
-- Keeps  everything as it is.
local reply = {}
redis.pcall('DEL', KEYS[1])
for _, command in ipairs(ARGV) do
  local words = {}
  for word in string.gmatch(command, '%S+') do
    words[#words + 1] = word == 'K' and KEYS[1] or word
  end
  local said = redis.pcall(unpack(words))
  if type(said) == 'table' and said.err then
    reply[#reply + 1] = words[1]
    reply[#reply + 1] = said.err
  end
end
redis.pcall('DEL', KEYS[1])
return reply

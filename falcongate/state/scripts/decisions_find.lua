-- Looks for the decisions on requests of one id among some of those that are kept, the newest first.
--
-- KEYS   the decisions: a stream
-- ARGV   the request id; where to begin, '+' or what was answered before; how many to look through
-- Reply  where to go on, '' if that was all; then the fields of each that was found
-- Keeps  everything as it is.
local entries = redis.call('XREVRANGE', KEYS[1], ARGV[2], '-', 'COUNT', ARGV[3])
local reply = {''}
if #entries == tonumber(ARGV[3]) then
  reply[1] = '(' .. entries[#entries][1]
end
for _, entry in ipairs(entries) do
  local fields = entry[2]
  for i = 1, #fields, 2 do
    if fields[i] == 'id' and fields[i + 1] == ARGV[1] then
      reply[#reply + 1] = fields
    end
  end
end
return reply

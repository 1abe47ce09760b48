-- Reads ids in the order in which a take would take them, and takes none. What is due is to be moved before.
--
-- KEYS     per queue: ready
-- ARGV     how many to pass over; how many to read at most
-- Returns  {number of a queue, id, id, ...}, ...
local skip, left = tonumber(ARGV[1]), tonumber(ARGV[2])
local reply = {}

for k = 1, #KEYS do
  if left <= 0 then break end
  local ids = redis.call('ZRANGE', KEYS[k], skip, skip + left - 1)
  if #ids > 0 then
    left, skip = left - #ids, 0
    reply[#reply + 1] = {k, unpack(ids)}
  else
    skip = math.max(0, skip - redis.call('ZCARD', KEYS[k]))
  end
end
return reply

-- Sets messages of a dramatiq queue aside, so that no dramatiq worker fetches them, and reads them.
--
-- KEYS     the queue (a list), what is set aside (a list), the queue's messages (a hash)
-- ARGV     how many of those set aside to pass over, how many to read
-- Returns  {id, message or false, ...}
local first, count = tonumber(ARGV[1]), tonumber(ARGV[2])
for _ = redis.call('LLEN', KEYS[2]) + 1, first + count do
  local id = redis.call('LPOP', KEYS[1])
  if not id then
    break
  end
  redis.call('RPUSH', KEYS[2], id)
end
local reply = {}
for _, id in ipairs(redis.call('LRANGE', KEYS[2], first, first + count - 1)) do
  reply[#reply + 1] = id
  reply[#reply + 1] = redis.call('HGET', KEYS[3], id)
end
return reply

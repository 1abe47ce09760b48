-- Puts back what a dramatiq worker fetched, did not acknowledge, and will not: it is dead.
--
-- KEYS     what it fetched (a set), the queue (a list), the queue's messages (a hash)
local ids = redis.call('SMEMBERS', KEYS[1])
for _, id in ipairs(ids) do
  if redis.call('HEXISTS', KEYS[3], id) == 1 then
    redis.call('RPUSH', KEYS[2], id)
  end
end
redis.call('DEL', KEYS[1])
return #ids

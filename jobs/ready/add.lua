-- Adds ids to queues. One id is in one of a queue's two sets, never in both.
--
-- KEYS     per queue: ready, later
-- ARGV[1]  the caller's present moment (ms), or '' to go by this server's clock
-- ARGV     per queue: 'id priority due;' for each, due in ms, or nothing for now
--
-- Scores are whole numbers below 2^53, which a double holds exactly (due < 2^42, |priority| <= 1000):
--   ready  priority * 2^42 + due         the order in which to take
--   later  due * 2048 + priority + 1000  the order in which they become due; gives both back
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local ahead = ARGV[1] == '' and 0 or now - ARGV[1]

for k = 1, #KEYS, 2 do
  local ready, later = KEYS[k], KEYS[k + 1]
  local now_scored, now_ids, later_scored, later_ids = {}, {}, {}, {}
  local earliest = math.huge
  for id, level, given in string.gmatch(ARGV[(k + 3) / 2], '(%x+) (-?%d+) (-?%d*);') do
    local priority, due = tonumber(level), now
    if given ~= '' then
      due = math.max(0, math.min(given + ahead, 2 ^ 42 - 1))
    end
    if due > now then
      local score = due * 2048 + priority + 1000
      earliest = math.min(earliest, score)
      later_scored[#later_scored + 1] = score
      later_scored[#later_scored + 1] = id
      later_ids[#later_ids + 1] = id
    else
      now_scored[#now_scored + 1] = priority * 2 ^ 42 + due
      now_scored[#now_scored + 1] = id
      now_ids[#now_ids + 1] = id
    end
  end
  -- A set is written before the other is cleared: at the memory limit nothing is lost.
  if #now_ids > 0 then
    -- LT: an id that is added again keeps its earlier place.
    redis.call('ZADD', ready, 'LT', unpack(now_scored))
    redis.call('ZREM', later, unpack(now_ids))
  end
  if #later_ids > 0 then
    local head = redis.call('ZRANGE', later, 0, 0, 'WITHSCORES')
    redis.call('ZADD', later, unpack(later_scored))
    redis.call('ZREM', ready, unpack(later_ids))
    -- Sooner than all that was known: wake one waiting taker, to learn of it.
    if head[2] == nil or earliest < tonumber(head[2]) then
      redis.call('ZADD', ready, '-9007199254740991', 'look')
    end
  end
end

-- Moves what is due to the ready sets, then takes ids strictly in the order of the queues. Scores: see add.lua.
--
-- KEYS     intact; then per queue: ready, later
-- ARGV     how many to take; how many to move at most
-- Returns  {is intact (1 or 0), ms to the next due moment (-1: none known), {number of a queue, its ids}, ...}; the ids,
--          of 32 characters each, as one text, which a client reads in a third of the time of many. Others are dropped.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local last_due = string.format('%.0f', now * 2048 + 2047)
local left, moves = tonumber(ARGV[1]), tonumber(ARGV[2])
local reply = {redis.call('EXISTS', KEYS[1]), -1}

for k = 2, #KEYS, 2 do
  local ready, later = KEYS[k], KEYS[k + 1]
  local taken = {}
  local function take(id)
    if #id == 32 then taken[#taken + 1] = id end
    left = left - 1
  end

  local head = redis.call('ZRANGE', later, 0, 0, 'WITHSCORES')
  if head[2] and math.floor(head[2] / 2048) <= now and moves > 0 then
    local due = redis.call('ZRANGEBYSCORE', later, '-inf', last_due, 'WITHSCORES', 'LIMIT', 0, moves)
    local scored, ids = {}, {}
    for i = 1, #due, 2 do
      local priority = due[i + 1] % 2048 - 1000
      scored[i], scored[i + 1] = priority * 2 ^ 42 + math.floor(due[i + 1] / 2048), due[i]
      ids[#ids + 1] = due[i]
    end
    local moved = redis.pcall('ZADD', ready, 'LT', unpack(scored))
    if type(moved) == 'table' then
      -- At the memory limit nothing can be moved, only taken away: hand out what is due from where it is.
      for i = 1, math.min(left, #ids) do
        redis.call('ZREM', later, ids[i])
        take(ids[i])
      end
    else
      redis.call('ZREM', later, unpack(ids))
    end
    moves = moves - #ids
    head = redis.call('ZRANGE', later, 0, 0, 'WITHSCORES')
  end
  if head[2] then
    local wait = math.max(0, math.floor(head[2] / 2048) - now)
    if reply[2] < 0 or wait < reply[2] then reply[2] = wait end
  end

  local looked = true
  while looked and left > 0 do
    looked = false
    local popped = redis.call('ZPOPMIN', ready, left)
    for i = 1, #popped, 2 do
      if popped[i] == 'look' then
        looked = true
      else
        take(popped[i])
      end
    end
  end
  if #taken > 0 then reply[#reply + 1] = {k / 2, table.concat(taken)} end
end
return reply

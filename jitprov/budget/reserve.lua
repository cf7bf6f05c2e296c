-- Reserve the meter's next slot, if it is near enough. Redis' own clock; all times in microseconds.
--
-- KEYS[1] {prefix}budget:{client}         hash   one per OAuth client            for ever
--           made_us          when this meter was made; tells it from one that was lost    reserve
--           seen_us          the clock at the last slot given                             reserve
--           even_us          when the meter, spent evenly, gives its next slot            reserve
--           total            slots given since it was made                                reserve
--           paused_until_us, pause_reason                                                 pause
-- KEYS[2] {prefix}budget:{client}:slots   zset   slot's number -> its instant    an API minute after the last slot
-- ARGV    interval, burst, wait_max, window, made_us that the caller knew ('' when it knew none)
-- answer  {'slot' | 'busy' | 'paused', wait, made_us}
--
-- The rule is that of budget/rate.py, which proves it. TIME before a write needs effects replication: Redis 5 and later.
local interval, burst, wait_max, window = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local held = redis.call('HMGET', KEYS[1], 'made_us', 'seen_us', 'even_us', 'paused_until_us')
local made, seen, even, paused = tonumber(held[1]), tonumber(held[2]), tonumber(held[3]), tonumber(held[4]) or 0
-- Lua would write 1.7e+15.
local function whole(number) return string.format('%.0f', number) end

if not made then
  -- Nobody knows what was spent before: no burst.
  made, seen, even = now, now, now + burst
  redis.call('HSET', KEYS[1], 'made_us', whole(made), 'seen_us', whole(seen), 'even_us', whole(even))
end

if now < seen then
  -- The clock was set back (by more than this): move everything with it, or the meter would stand still meanwhile.
  local back = seen - now
  seen, even = now, even - back
  redis.call('HSET', KEYS[1], 'seen_us', whole(seen), 'even_us', whole(even))
  if paused > 0 then
    paused = paused - back
    redis.call('HSET', KEYS[1], 'paused_until_us', whole(paused))
  end
  redis.call('DEL', KEYS[2])
end

if ARGV[5] ~= '' and ARGV[5] ~= whole(made) then
  -- The meter this caller knew was lost with Redis' data. Permits of it may be used until wait_max after the loss,
  -- and the loss was before this meter was made.
  even = math.max(even, made + wait_max + interval + burst)
  redis.call('HSET', KEYS[1], 'even_us', whole(even))
end

if paused - now > wait_max then return {'paused', paused - now, whole(made)} end
local slot = math.max(now, even - burst, paused)
if slot - now > wait_max then return {'busy', slot - now, whole(made)} end

local number = redis.call('HINCRBY', KEYS[1], 'total', 1)
redis.call('HSET', KEYS[1], 'seen_us', whole(now), 'even_us', whole(math.max(even, slot) + interval))
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', whole(now - window))
redis.call('ZADD', KEYS[2], whole(slot), whole(number))
redis.call('PEXPIRE', KEYS[2], whole(math.ceil((slot - now + window) / 1000)))
return {'slot', slot - now, whole(made)}

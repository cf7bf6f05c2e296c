-- Look at the meter, for people; writes nothing. Redis' own clock; times in microseconds.
--
-- KEYS[1] {prefix}budget:{client}         hash   the map is in reserve.lua
-- KEYS[2] {prefix}budget:{client}:slots   zset   slot's number -> its instant
-- ARGV    burst, window
-- answer  {slots in the last window, slots in all, until the next slot, until the pause ends, why it is paused}
local burst, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local held = redis.call('HMGET', KEYS[1], 'even_us', 'paused_until_us', 'total', 'pause_reason')
local even, paused = tonumber(held[1]) or now, tonumber(held[2]) or 0
local function whole(number) return string.format('%.0f', number) end
local spent = redis.call('ZCOUNT', KEYS[2], '(' .. whole(now - window), whole(now))
local reason = paused > now and held[4] or ''
return {spent, tonumber(held[3]) or 0, math.max(0, even - burst - now, paused - now), math.max(0, paused - now), reason}

-- What all scripts of the meter share; put before each of them. Redis' own clock; all times in microseconds.
--
-- {prefix}budget:{client}                hash   one per OAuth client                          for ever    who writes
--     held_at_us, held_for_us, held_reason      people's pause                                            hold, resume
--     rate_per_min                              the lower limit that people chose                         rate
--     failures, opened, open_until_us, probe_until_us, why   the circuit                     outcome, reserve, resume
-- {prefix}budget:{client}:{lane}         hash   one per access token                          for ever
--     made_us      when this meter was made; tells it from one that was lost                              reserve
--     seen_us      the clock at the last slot given                                                       reserve
--     even_us, floor_us, interval_us, burst_us  see budget/rate.py and budget/lane.py             reserve, confirm
--     total        slots given since it was made                                                          reserve
--     paused_until_us, pause_reason             what the API asked for                                     pause
--     allowed, heard_us, ends_from_us, ends_to_us, longest_us, shared_until_us   what its answers said    reserve
-- {prefix}budget:{client}:{lane}:slots   zset   slot's number -> its instant; o…: another's   a minute after the last
--
-- TIME before a write needs effects replication: Redis 5 and later.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])

-- Lua would write 1.7e+15.
local function whole(number) return string.format('%.0f', number) end

local function numbers(key, ...)
  local held = redis.call('HMGET', key, ...)
  for index = 1, select('#', ...) do held[index] = tonumber(held[index]) end
  return held
end

-- What is left of people's pause; a clock that was set back does not lengthen it.
local function held_for(switch)
  local held = numbers(switch, 'held_at_us', 'held_for_us')
  if not held[1] then return 0 end
  if now < held[1] then
    held[1] = now
    redis.call('HSET', switch, 'held_at_us', whole(now))
  end
  return math.max(0, held[1] + held[2] - now)
end

-- How long to wait before asking again while the circuit is open; 0 when it is closed or the caller is the probe.
local function broken_for(circuit, look)
  local opened, open_until, probe_until = circuit[2] or 0, circuit[3] or 0, circuit[4] or 0
  if opened == 0 then return 0 end
  if now < open_until then return open_until - now end
  return math.min(math.max(0, probe_until - now), look)
end

-- `even`, made anew from the slots: budget/rate.py.
local function even_of(slots, interval, burst, keep, floor)
  redis.call('ZREMRANGEBYSCORE', slots, '-inf', whole(now - keep))
  local given = redis.call('ZRANGE', slots, 0, -1, 'WITHSCORES')
  local even, last = 0, 0
  for index = 2, #given, 2 do
    last = tonumber(given[index])
    even = math.max(even, last) + interval
  end
  return math.max(floor, math.min(even, last + keep + burst + 1))
end

-- Reserve the next slot of any lane, if it is near enough; first read what the API's answers said. The map is in
-- meter.lua, the rule in budget/rate.py, what is read from answers in budget/lane.py: both prove it.
--
-- KEYS[1] {prefix}budget:{client}; then for each lane {prefix}budget:{client}:{lane} and {prefix}budget:{client}:{lane}:slots
-- ARGV    wait_max, window, keep, good_for, limit, interval, burst, share, how long a probe
--         is waited for, look, hold_look, ahead; then for each lane: made_us that the caller knew ('' when none), and of its last answer not yet
--         read: allowed, count, reset, slot, sent, heard ('' when there is none)
-- answer  {'slot', wait, lane from 0, number, slot's instant, failures, probe, made_us of each lane}
--         {'busy' | 'paused' | 'held' | 'broken', wait, why, made_us of each lane}
local wait_max, window, keep, good_for = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local limit, interval, burst, share = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local probe_for, look, hold_look = tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11])
local ahead = tonumber(ARGV[12])
local FIRST, EACH = 12, 7
local switch = KEYS[1]

local hold = held_for(switch)
local circuit = numbers(switch, 'failures', 'opened', 'open_until_us', 'probe_until_us', 'rate_per_min')
local broken = broken_for(circuit, look)
local chosen = circuit[5]

-- The lane's hash as numbers by name; made, or moved with a clock that was set back.
local NAMES = {
  'made_us', 'seen_us', 'even_us', 'floor_us', 'interval_us', 'burst_us', 'paused_until_us', 'allowed', 'heard_us',
  'ends_from_us', 'ends_to_us', 'longest_us', 'shared_until_us',
}
local function lane_of(key, slots)
  local held, lane = numbers(key, unpack(NAMES)), {}
  for index, name in ipairs(NAMES) do lane[name] = held[index] end
  if not lane.made_us then
    -- Nobody knows what was spent before: no burst.
    lane = {made_us = now, seen_us = now, even_us = now + burst, floor_us = now + burst, interval_us = interval, burst_us = burst,
            paused_until_us = lane.paused_until_us, allowed = lane.allowed}
    for name, value in pairs(lane) do redis.call('HSET', key, name, whole(value)) end
  elseif now < lane.seen_us then
    -- The clock was set back (by more than this): move everything with it, or the meter would stand still meanwhile.
    local back = lane.seen_us - now
    lane.seen_us, lane.even_us, lane.heard_us, lane.ends_to_us = now, lane.even_us - back, nil, nil
    lane.floor_us = lane.floor_us - back
    redis.call('HSET', key, 'seen_us', whole(now), 'even_us', whole(lane.even_us), 'floor_us', whole(lane.floor_us))
    redis.call('HDEL', key, 'heard_us', 'ends_to_us')
    if lane.shared_until_us then
      lane.shared_until_us = lane.shared_until_us - back
      redis.call('HSET', key, 'shared_until_us', whole(lane.shared_until_us))
    end
    if lane.paused_until_us then
      lane.paused_until_us = lane.paused_until_us - back
      redis.call('HSET', key, 'paused_until_us', whole(lane.paused_until_us))
    end
    local given = redis.call('ZRANGE', slots, 0, -1, 'WITHSCORES')
    for index = 1, #given, 2 do redis.call('ZADD', slots, whole(given[index + 1] - back), given[index]) end
  end
  lane.paused_until_us = lane.paused_until_us or 0
  return lane
end

-- Read one answer; true when others' calls came to light.
local function hear(key, slots, lane, allowed, count, reset, slot, sent, heard)
  if heard <= (lane.heard_us or 0) or heard > now + good_for then return false end
  lane.allowed = allowed
  redis.call('HSET', key, 'heard_us', whole(heard), 'allowed', whole(allowed))
  if reset > 2 * window then return false end
  local longest = math.max(lane.longest_us or window, reset)
  local from, to = sent + reset - math.floor(window / 60), heard + reset
  if lane.ends_to_us and from <= lane.ends_to_us and lane.ends_from_us <= to then
    from, to = math.max(from, lane.ends_from_us), math.min(to, lane.ends_to_us)
  end
  redis.call('HSET', key, 'ends_from_us', whole(from), 'ends_to_us', whole(to), 'longest_us', whole(longest))
  local began = math.min(from - longest - good_for, slot)
  local calls = math.min(count - redis.call('ZCOUNT', slots, whole(began), whole(heard)), limit)
  if calls <= 0 then return false end
  local others = redis.call('HINCRBY', key, 'others', calls)
  -- They take the first own slots that nobody can have confirmed yet: budget/lane.py.
  lane.shared_until_us = heard + keep
  redis.call('HSET', key, 'shared_until_us', whole(lane.shared_until_us))
  local left = calls
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', slots, '(' .. whole(now + ahead), '+inf')) do
    if left > 0 and string.sub(member, 1, 1) ~= 'o' then
      redis.call('ZREM', slots, member)
      left = left - 1
    end
  end
  for number = others - calls + 1, others do redis.call('ZADD', slots, whole(heard), 'o' .. whole(number)) end
  return true
end

local best, made = nil, {}
for index = 0, (#KEYS - 1) / 2 - 1 do
  local key, slots, first = KEYS[2 * index + 2], KEYS[2 * index + 3], FIRST + EACH * index
  local lane = lane_of(key, slots)
  made[index + 1] = whole(lane.made_us)
  local anew = false
  if ARGV[first + 1] ~= '' and ARGV[first + 1] ~= made[index + 1] then
    -- The meter this caller knew was lost with Redis' data. Permits of it may be used until wait_max after the loss,
    -- and the loss was before this meter was made.
    lane.floor_us = math.max(lane.floor_us, lane.made_us + wait_max + interval + burst)
    lane.even_us = math.max(lane.even_us, lane.floor_us)
    redis.call('HSET', key, 'even_us', whole(lane.even_us), 'floor_us', whole(lane.floor_us))
  elseif ARGV[first + 2] ~= '' then
    local said = {}
    for number = 1, 6 do said[number] = tonumber(ARGV[first + 1 + number]) end
    anew = hear(key, slots, lane, unpack(said))
  end
  local in_force = math.min(limit, lane.allowed or limit, chosen or limit)
  lane.interval, lane.burst = interval, burst
  local shared = now < (lane.shared_until_us or 0)
  if in_force < limit or shared then
    lane.interval = math.max(interval, math.ceil(window / (in_force * share * (shared and share or 1))))
    lane.burst = 0
  end
  if anew or lane.interval ~= lane.interval_us or lane.burst ~= lane.burst_us then
    lane.even_us = even_of(slots, lane.interval, lane.burst, keep, lane.floor_us)
    redis.call('HSET', key, 'even_us', whole(lane.even_us), 'interval_us', whole(lane.interval), 'burst_us', lane.burst)
  end
  lane.index, lane.key, lane.slots = index, key, slots
  lane.slot = math.max(now, lane.even_us - lane.burst, lane.paused_until_us, now + hold)
  if not best or lane.slot < best.slot then best = lane end
end

if hold > math.max(0, wait_max) then
  return {'held', math.min(hold, hold_look), redis.call('HGET', switch, 'held_reason'), unpack(made)}
end
if broken > 0 then return {'broken', broken, redis.call('HGET', switch, 'why'), unpack(made)} end
local slot = best.slot
if best.paused_until_us - now > wait_max then
  return {'paused', slot - now, redis.call('HGET', best.key, 'pause_reason') or '', unpack(made)}
end
if slot - now > wait_max then return {'busy', slot - now, '', unpack(made)} end

local probe = (circuit[2] or 0) > 0 and 1 or 0
if probe == 1 then redis.call('HSET', switch, 'probe_until_us', whole(slot + probe_for)) end
local number = redis.call('HINCRBY', best.key, 'total', 1)
redis.call('HSET', best.key, 'seen_us', whole(now), 'even_us', whole(math.max(best.even_us, slot) + best.interval))
redis.call('ZREMRANGEBYSCORE', best.slots, '-inf', whole(now - keep))
redis.call('ZADD', best.slots, whole(slot), whole(number))
redis.call('PEXPIRE', best.slots, whole(math.ceil((slot - now + keep) / 1000)))
return {'slot', slot - now, best.index, number, whole(slot), circuit[1] or 0, probe, unpack(made)}

-- Tell, when its slot has come, whether a permit still holds: 1; or give its slot up: 0. The map is in meter.lua.
--
-- KEYS[1] {prefix}budget:{client}   KEYS[2], KEYS[3] its lane's hash and slots
-- ARGV    number, slot's instant, probe, keep
local switch, key, slots = KEYS[1], KEYS[2], KEYS[3]
local number, slot, probe, keep = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1', tonumber(ARGV[4])
local lane = numbers(key, 'paused_until_us', 'debt', 'interval_us', 'burst_us', 'floor_us')
local at = math.max(now, slot)
local good = now + held_for(switch) <= at and (lane[1] or 0) <= at
if good and not probe and (tonumber(redis.call('HGET', switch, 'opened')) or 0) > 0 then good = false end
if good and (lane[2] or 0) > 0 then
  -- Others' calls took slots that were reserved ahead: this one, if there are as many.
  local debt = math.min(lane[2], 1 + redis.call('ZCOUNT', slots, '(' .. whole(at), '+inf'))
  redis.call('HSET', key, 'debt', whole(math.max(0, debt - 1)))
  good = debt == 0
end
if good then return 1 end
if lane[3] then
  redis.call('ZREM', slots, number)
  redis.call('HSET', key, 'even_us', whole(even_of(slots, lane[3], lane[4], keep, lane[5])))
end
return 0

-- Tell, when its slot has come, whether a permit still holds: 1; or give its slot up: 0. Safe to repeat: a slot that was
-- given up, or whose meter was lost, does not hold. The map is in meter.lua.
--
-- KEYS[1] {prefix}budget:{client}   KEYS[2], KEYS[3] its lane's hash and slots
-- ARGV    number, made_us of the meter that gave it, probe, keep, good_for
local switch, key, slots = KEYS[1], KEYS[2], KEYS[3]
local number, made, probe, keep = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1', tonumber(ARGV[4])
local good_for = tonumber(ARGV[5])
local lane = numbers(key, 'paused_until_us', 'interval_us', 'burst_us', 'floor_us', 'made_us')
local slot = tonumber(redis.call('ZSCORE', slots, number))
-- Others' calls that came to light strike out slots that were reserved ahead: reserve.lua.
if lane[5] ~= made or not slot then return 0 end
local at = math.max(now, slot)
-- Later than `good_for`: the caller woke too late, or the clock was set forward, and what it skipped was given anew.
local good = now <= slot + good_for and now + held_for(switch) <= at and (lane[1] or 0) <= at
if good and not probe and (tonumber(redis.call('HGET', switch, 'opened')) or 0) > 0 then good = false end
if good then return 1 end
redis.call('ZREM', slots, number)
redis.call('HSET', key, 'even_us', whole(even_of(slots, lane[2], lane[3], keep, lane[4])))
return 0

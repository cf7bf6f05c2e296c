-- Give no slot of a lane for a while; a longer pause that runs already stays. The map is in meter.lua.
--
-- KEYS[1] {prefix}budget:{client}:{lane}
-- ARGV    for how long, reason
local until_us = now + tonumber(ARGV[1])
local paused = tonumber(redis.call('HGET', KEYS[1], 'paused_until_us')) or 0
if until_us > paused then
  redis.call('HSET', KEYS[1], 'paused_until_us', whole(until_us), 'pause_reason', ARGV[2])
end

-- Give no slot for a while; a longer pause that runs already stays. Redis' own clock; times in microseconds.
--
-- KEYS[1] {prefix}budget:{client}   hash   paused_until_us, pause_reason; the map is in reserve.lua
-- ARGV    for how long, reason
local clock = redis.call('TIME')
local until_us = tonumber(clock[1]) * 1000000 + tonumber(clock[2]) + tonumber(ARGV[1])
local paused = tonumber(redis.call('HGET', KEYS[1], 'paused_until_us')) or 0
if until_us > paused then
  redis.call('HSET', KEYS[1], 'paused_until_us', string.format('%.0f', until_us), 'pause_reason', ARGV[2])
end

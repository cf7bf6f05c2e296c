-- What people choose: a pause, its end, a lower rate. Stays until they choose otherwise. The map is in meter.lua.
--
-- KEYS[1] {prefix}budget:{client}
-- ARGV    'hold', for how long, reason  |  'resume'  |  'rate', calls a minute ('' for the setting's limit)
if ARGV[1] == 'hold' then
  redis.call('HSET', KEYS[1], 'held_at_us', whole(now), 'held_for_us', ARGV[2], 'held_reason', ARGV[3])
elseif ARGV[1] == 'resume' then
  redis.call('HDEL', KEYS[1], 'held_at_us', 'held_for_us', 'held_reason')
elseif ARGV[2] == '' then
  redis.call('HDEL', KEYS[1], 'rate_per_min')
else
  redis.call('HSET', KEYS[1], 'rate_per_min', ARGV[2])
end

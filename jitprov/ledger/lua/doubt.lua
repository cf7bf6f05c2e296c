-- Notes that the right book was last seen at an instant; the latest such instant stays.
-- KEYS 1 book    ARGV 1 seen µs
local held = redis.call('HGET', KEYS[1], 'doubted')
if not held or tonumber(held) < tonumber(ARGV[1]) then redis.call('HSET', KEYS[1], 'doubted', ARGV[1]) end
return 1

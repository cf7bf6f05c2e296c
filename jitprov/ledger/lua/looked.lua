-- Notes a look of the reconciler. Changes nothing of one that ended meanwhile.
-- KEYS 1 the provisioning's hash   2 due     ARGV 1 provisioning id  2 missed  3 look_after µs  4 republished "1"/"0"
if not redis.call('ZSCORE', KEYS[2], ARGV[1]) then return 0 end
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
redis.call('HSET', KEYS[1], 'missed', ARGV[2])
if ARGV[4] == '1' then redis.call('HINCRBY', KEYS[1], 'republished', 1) end
redis.call('ZADD', KEYS[2], string.format('%.0f', now + tonumber(ARGV[3])), ARGV[1])
return 1

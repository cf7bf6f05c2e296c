-- Makes a lease last longer if it is still this holder's; never shorter.
-- KEYS 1 the provisioning's hash   2 due     ARGV 1 provisioning id  2 token  3 lease µs     Returns 1 or 0.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local f = redis.call('HMGET', KEYS[1], 'lease', 'lease_until')
if f[1] ~= ARGV[2] or tonumber(f[2]) <= now then return 0 end
local until_us = string.format('%.0f', math.max(tonumber(f[2]), now + tonumber(ARGV[3])))
redis.call('HSET', KEYS[1], 'lease_until', until_us)
redis.call('ZADD', KEYS[2], until_us, ARGV[1])
return 1

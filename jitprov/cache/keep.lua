-- Hold a flight longer, if it is still one's own.
--
-- KEYS[1] {prefix}flight:{name}   string   the holder's random token
-- ARGV    token, hold_ms
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0

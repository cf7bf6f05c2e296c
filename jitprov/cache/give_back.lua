-- Give a flight back, if it is still one's own: after hold_ms another may have it.
--
-- KEYS[1] {prefix}flight:{name}   string   the holder's random token
-- ARGV    token
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0

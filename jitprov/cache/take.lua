-- Take a flight unless another holds it. Safe to repeat when the answer was lost: one's own flight is taken too.
--
-- KEYS[1] {prefix}flight:{name}   string   the holder's random token   hold_ms   take, give_back
-- ARGV    token, hold_ms
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
return redis.call('GET', KEYS[1]) == ARGV[1] and 1 or 0

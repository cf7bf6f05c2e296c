-- Takes what is there for the right book: ends every doubt, and gives it an id if it has none.
-- KEYS 1 book    ARGV 1 a fresh id  2 opens in µs  3 looks for µs
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
-- later than anybody saw the lost one, whatever this server's clock says: only then do they take this one
local since = math.max(now, tonumber(redis.call('HGET', KEYS[1], 'doubted') or '0') + 1)
redis.call('HSETNX', KEYS[1], 'id', ARGV[1])
redis.call('HSET', KEYS[1], 'acknowledged', string.format('%.0f', since),
  'opens', string.format('%.0f', now + tonumber(ARGV[2])), 'looks', string.format('%.0f', now + tonumber(ARGV[3])))
redis.call('HDEL', KEYS[1], 'doubted')
return 1

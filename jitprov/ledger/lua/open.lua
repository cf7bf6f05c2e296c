-- Opens the book if there is none, and nobody doubts that this is the first.
-- KEYS 1 book    ARGV 1 a fresh id
if redis.call('EXISTS', KEYS[1]) == 0 then redis.call('HSET', KEYS[1], 'id', ARGV[1]) end
return redis.call('HGETALL', KEYS[1])

-- Keeps the description of a refused body, and its sealed text; the oldest beyond the bound go, text and all.
-- KEYS 1 order (zset)  2 entries (hash)  3 texts (hash)     ARGV 1 id  2 entry as JSON  3 sealed text, or ''  4 entries kept
local t = redis.call('TIME')
redis.call('ZADD', KEYS[1], t[1] * 1000000 + t[2], ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
if ARGV[3] ~= '' then redis.call('HSET', KEYS[3], ARGV[1], ARGV[3]) end
local over = redis.call('ZCARD', KEYS[1]) - ARGV[4]
if over > 0 then
  for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, over - 1)) do
    redis.call('ZREM', KEYS[1], id)
    redis.call('HDEL', KEYS[2], id)
    redis.call('HDEL', KEYS[3], id)
  end
end

-- Takes entries out of quarantine, with their texts: one by its id, or those from before an instant. Returns how many.
-- KEYS 1 order (zset)  2 entries (hash)  3 texts (hash)     ARGV 1 id, or ''  2 before µs  3 limit
local ids = {ARGV[1]}
if ARGV[1] == '' then ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[2], 'LIMIT', 0, ARGV[3]) end
local released = 0
for _, id in ipairs(ids) do
  released = released + redis.call('ZREM', KEYS[1], id)
  redis.call('HDEL', KEYS[2], id)
  redis.call('HDEL', KEYS[3], id)
end
return released

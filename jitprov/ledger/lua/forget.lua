-- Drops provisionings that ended well long ago, with every id that leads to them.
-- KEYS 1 a state zset  2 events  3 users  4 emails  5 its ends (zset)     ARGV 1 prefix  2 ended before µs  3 limit     Returns how many.
local dropped = 0
for _, pid in ipairs(redis.call('ZRANGE', KEYS[1], 0, ARGV[3] - 1)) do
  local key = ARGV[1] .. 'p:' .. pid
  local f = redis.call('HMGET', key, 'event', 'user', 'email', 'ended', 'aliases')
  if not f[4] or tonumber(f[4]) < tonumber(ARGV[2]) then
    if f[1] then redis.call('HDEL', KEYS[2], f[1]) end
    if f[2] and redis.call('HGET', KEYS[3], f[2]) == pid then redis.call('HDEL', KEYS[3], f[2]) end
    if f[3] and redis.call('HGET', KEYS[4], f[3]) == pid then redis.call('HDEL', KEYS[4], f[3]) end
    for alias in string.gmatch(f[5] or '', '%S+') do redis.call('HDEL', KEYS[2], alias) end
    redis.call('DEL', key)
    redis.call('ZREM', KEYS[1], pid)
    redis.call('ZREM', KEYS[5], pid)
    dropped = dropped + 1
  end
end
return dropped

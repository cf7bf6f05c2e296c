-- User ids of provisionings that wait for their first step, first accepted first.
-- KEYS 1 state:accepted    ARGV 1 prefix  2 limit  3 first step
local users = {}
for _, pid in ipairs(redis.call('ZRANGE', KEYS[1], 0, ARGV[2] - 1)) do
  local f = redis.call('HMGET', ARGV[1] .. 'p:' .. pid, 'user', 'step')
  if f[1] and f[2] == ARGV[3] then users[#users + 1] = f[1] end
end
return users

-- User ids of provisionings whose first step is not done: those that a worker holds, then those that wait.
-- KEYS 1 state:running  2 state:accepted    ARGV 1 prefix  2 limit  3 first step
-- Both are scored by acceptance, so of the running ones the newest are at the first step; no more are looked at.
local users = {}
local function take(pids)
  for _, pid in ipairs(pids) do
    local f = redis.call('HMGET', ARGV[1] .. 'p:' .. pid, 'user', 'step')
    if f[1] and f[2] == ARGV[3] and #users < tonumber(ARGV[2]) then users[#users + 1] = f[1] end
  end
end
take(redis.call('ZREVRANGE', KEYS[1], 0, ARGV[2] - 1))
take(redis.call('ZRANGE', KEYS[2], 0, ARGV[2] - 1))
return users

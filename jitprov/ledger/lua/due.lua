-- What the reconciler should look at now.   KEYS 1 due    ARGV 1 prefix  2 limit
-- Returns {now µs, provisioning id, {field, value, ...}, ...}
local t = redis.call('TIME')
local us = string.format('%.0f', t[1] * 1000000 + t[2])
local answer = {us}
for _, pid in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', us, 'LIMIT', 0, ARGV[2])) do
  local fields = redis.call('HGETALL', ARGV[1] .. 'p:' .. pid)
  if #fields == 0 then
    redis.call('ZREM', KEYS[1], pid)
  else
    answer[#answer + 1] = pid
    answer[#answer + 1] = fields
  end
end
return answer

-- How many had arrived, were ready and had failed by given instants. Counts by rank: each costs a logarithm.
-- KEYS 1 ended:ready  2 ended:failed  3.. the state zsets     ARGV 1 from µs (inclusive)  2.. instants, µs
-- Returns per instant: arrived, ready, failed (and not retried since).
local answer = {}
for i = 2, #ARGV do
  local arrived = 0
  for k = 3, #KEYS do arrived = arrived + redis.call('ZCOUNT', KEYS[k], ARGV[1], ARGV[i]) end
  answer[#answer + 1] = arrived
  answer[#answer + 1] = redis.call('ZCOUNT', KEYS[1], ARGV[1], ARGV[i])
  answer[#answer + 1] = redis.call('ZCOUNT', KEYS[2], ARGV[1], ARGV[i])
end
return answer

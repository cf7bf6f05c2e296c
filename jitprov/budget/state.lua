-- Look at the meter, for people; changes nothing. The map is in meter.lua.
--
-- KEYS[1] {prefix}budget:{client}; then for each lane its hash and its slots
-- ARGV    window, look
-- answer  {people's pause still lasts, why, rate_per_min or 0, failures, opened, broken for, open for, why,
--          then for each lane: allowed or 0, slots in the last window, others' calls in it, slots in all,
--          until the next slot, until the API's pause ends, why}
local window, look = tonumber(ARGV[1]), tonumber(ARGV[2])
local switch = KEYS[1]
local words = redis.call('HMGET', switch, 'held_reason', 'why')
local circuit = numbers(switch, 'failures', 'opened', 'open_until_us', 'probe_until_us', 'rate_per_min')
local opened = circuit[2] or 0
local open_for = opened > 0 and math.max(0, (circuit[3] or 0) - now) or 0
local answer = {
  held_for(switch), words[1] or '', circuit[5] or 0, circuit[1] or 0, opened, broken_for(circuit, look), open_for,
  words[2] or '',
}
for index = 2, #KEYS, 2 do
  local key, slots = KEYS[index], KEYS[index + 1]
  local lane = numbers(key, 'even_us', 'paused_until_us', 'total', 'allowed', 'burst_us')
  local even, paused = (lane[1] or 0) - (lane[5] or 0), lane[2] or 0
  local own, others = 0, 0
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', slots, '(' .. whole(now - window), whole(now))) do
    if string.sub(member, 1, 1) == 'o' then others = others + 1 else own = own + 1 end
  end
  local reason = paused > now and redis.call('HGET', key, 'pause_reason') or ''
  for _, each in ipairs({
    lane[4] or 0, own, others, lane[3] or 0, math.max(0, even - now, paused - now), math.max(0, paused - now), reason,
  }) do answer[#answer + 1] = each end
end
return answer

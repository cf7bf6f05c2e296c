-- Tell the circuit what became of a request: budget/circuit.py. The map is in meter.lua.
--
-- KEYS[1] {prefix}budget:{client}
-- ARGV    'fail' | 'final' | 'ok' | 'probe' (let the next one go at once), whether the request was the probe, why,
--         failures that open it, how long the first time, doublings at most, look
-- answer  how long it stays open
local switch, said, probe, why = KEYS[1], ARGV[1], ARGV[2] == '1', ARGV[3]
local failures_max, first, doublings, look = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local circuit = numbers(switch, 'failures', 'opened', 'open_until_us', 'probe_until_us')
local opened = circuit[2] or 0

if said == 'ok' then
  if probe or opened == 0 then
    redis.call('HDEL', switch, 'failures', 'opened', 'open_until_us', 'probe_until_us', 'why')
  end
  return 0
end
if said == 'probe' then
  if opened > 0 then redis.call('HSET', switch, 'open_until_us', 0, 'probe_until_us', 0) end
  return 0
end
local failures = redis.call('HINCRBY', switch, 'failures', 1)
if opened > 0 and not probe then return broken_for(circuit, look) end
if not probe and said ~= 'final' and failures < failures_max then return 0 end
local open_for = first * 2 ^ math.min(opened, doublings)
redis.call('HSET', switch, 'opened', opened + 1, 'open_until_us', whole(now + open_for), 'probe_until_us', 0, 'why', why)
return open_for

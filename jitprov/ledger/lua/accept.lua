-- Opens provisionings, once per event and once per user. One call for any number of events.
-- KEYS 1 events (hash event id -> provisioning id)   2 users (hash user id -> provisioning id)
--      3 state:accepted (zset, score accepted µs)    4 due (zset, score µs)      5.. one hash per opening
-- ARGV 1 look_after µs  2 prefix   then per opening: provisioning id, event id, user id, first step
-- Returns the time in µs, then per opening the id of the provisioning that serves it; '' when another has its id already.
-- Safe to repeat: the same opening answers its own id. Never writes over a provisioning, nor over what leads to one;
-- an id that leads to a provisioning that is not there leads nowhere, and does not swallow the event.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local us = string.format('%.0f', now)
local answer = {us}
local n = (#ARGV - 2) / 4
local ALIASES_CHARS_MAX = 740 -- 20 ids; further events of one user are still known by the user
local function serving_as(index, id)
  local pid = redis.call('HGET', index, id)
  return pid and redis.call('EXISTS', ARGV[2] .. 'p:' .. pid) == 1 and pid or nil
end
for i = 0, n - 1 do
  local pid, event, user, step = ARGV[3 + i * 4], ARGV[4 + i * 4], ARGV[5 + i * 4], ARGV[6 + i * 4]
  local serving = serving_as(KEYS[1], event)
  if not serving then
    serving = serving_as(KEYS[2], user)
    if serving then
      -- a later event of a known user: from now on its id is known too
      local key = ARGV[2] .. 'p:' .. serving
      local aliases = redis.call('HGET', key, 'aliases') or ''
      if #aliases < ALIASES_CHARS_MAX then
        redis.call('HSET', key, 'aliases', aliases .. event .. ' ')
        redis.call('HSET', KEYS[1], event, serving)
      end
    end
  end
  if not serving and redis.call('EXISTS', KEYS[5 + i]) == 1 then
    serving = ''
  elseif not serving then
    serving = pid
    redis.call('HSET', KEYS[5 + i], 'event', event, 'user', user, 'state', 'accepted', 'step', step, 'gen', 1,
      'tries', 0, 'accepted', us, 'updated', us)
    redis.call('HSET', KEYS[1], event, pid)
    redis.call('HSET', KEYS[2], user, pid)
    redis.call('ZADD', KEYS[3], us, pid)
    redis.call('ZADD', ARGV[2] .. 'at:' .. step, us, pid)
    redis.call('ZADD', KEYS[4], string.format('%.0f', now + tonumber(ARGV[1])), pid)
  end
  answer[i + 2] = serving
end
return answer

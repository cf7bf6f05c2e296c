-- Opens provisionings, once per event, and once per user as long as nothing of the user changes. One call for any number.
-- KEYS 1 events (hash event id -> provisioning id)   2 users (hash user id -> its newest provisioning's id)
--      3 state:accepted (zset, score accepted µs)    4 due (zset, score µs)   5 given (hash user id -> sealed)
--      6.. one hash per opening
-- ARGV 1 look_after µs  2 prefix  3 story and 4 cause of one that is held behind another
--      then per opening: provisioning id, event id, user id, first step, kind, sealed findings or ""
-- Returns the time in µs, then per opening the id of the provisioning that serves it; '' when none does (a change of
-- somebody whom nobody knows), 'taken' when another has its id already. Safe to repeat: the same opening answers its own
-- id. Never writes over a provisioning, nor over what leads to one; an id that leads to a provisioning that is not there
-- leads nowhere, and does not swallow the event. An agent's id leads to the newest of theirs.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local us = string.format('%.0f', now)
local answer = {us}
local prefix = ARGV[2]
local n = (#ARGV - 4) / 6
local ALIASES_CHARS_MAX = 740 -- 20 ids; further events of one user are still known by the user
local HELD_US = 86400000000 -- it is looked at when the one before it ends; this is for the case that nobody ended it
local by_profile = {new = true, change = true, ['return'] = true, mend = true}
local ended = {ready = true, failed = true, cancelled = true}

local function serving_as(index, id)
  local pid = redis.call('HGET', index, id)
  return pid and redis.call('EXISTS', prefix .. 'p:' .. pid) == 1 and pid or nil
end

local function also_serves(key, pid, event)
  local aliases = redis.call('HGET', key, 'aliases') or ''
  if #aliases < ALIASES_CHARS_MAX then
    redis.call('HSET', key, 'aliases', aliases .. event .. ' ')
    redis.call('HSET', KEYS[1], event, pid)
  end
end

local function open(hash, pid, event, user, step, kind, findings, last)
  if redis.call('EXISTS', hash) == 1 then return 'taken' end
  local state = last and 'waiting' or 'accepted'
  redis.call('HSET', hash, 'event', event, 'user', user, 'state', state, 'step', step, 'gen', 1, 'tries', 0,
    'accepted', us, 'updated', us)
  if kind ~= 'new' then redis.call('HSET', hash, 'kind', kind) end
  if findings ~= '' then redis.call('HSET', hash, 'findings', findings) end
  local look_after = tonumber(ARGV[1])
  if last then
    redis.call('HSET', hash, 'after', last, 'story', ARGV[3], 'code', 'comes_after', 'cause', ARGV[4])
    redis.call('HSET', prefix .. 'p:' .. last, 'next', pid)
    look_after = HELD_US
  end
  redis.call('HSET', KEYS[1], event, pid)
  redis.call('HSET', KEYS[2], user, pid)
  redis.call('ZADD', last and prefix .. 'state:waiting' or KEYS[3], us, pid)
  redis.call('ZADD', prefix .. 'at:' .. step, us, pid)
  redis.call('ZADD', KEYS[4], string.format('%.0f', now + look_after), pid)
  return pid
end

-- One that failed, and is taken over by a later one, waits for nobody any more.
local function supersede(last, state, by)
  local key = prefix .. 'p:' .. last
  redis.call('HSET', key, 'superseded', by)
  if state == 'failed' then
    redis.call('HSET', key, 'state', 'cancelled', 'code', '', 'cause', '')
    redis.call('HINCRBY', key, 'v', 1)
    redis.call('ZREM', prefix .. 'state:failed', last)
    redis.call('ZADD', prefix .. 'state:cancelled', redis.call('HGET', key, 'accepted'), last)
    redis.call('ZREM', prefix .. 'ended:failed', last)
    redis.call('ZADD', prefix .. 'ended:cancelled', us, last)
  end
end

-- The newest of a user that has not ended: it, or one that it comes after (as when the newest was cancelled meanwhile).
local function under_way(pid)
  while pid do
    local f = redis.call('HMGET', prefix .. 'p:' .. pid, 'state', 'after')
    if f[1] and not ended[f[1]] then return pid end
    pid = f[2]
  end
end

for i = 0, n - 1 do
  local a = 5 + i * 6
  local pid, event, user, step, kind, findings = ARGV[a], ARGV[a + 1], ARGV[a + 2], ARGV[a + 3], ARGV[a + 4], ARGV[a + 5]
  local serving = serving_as(KEYS[1], event)
  if not serving then
    local last = serving_as(KEYS[2], user)
    local key = last and prefix .. 'p:' .. last
    if not last then
      if kind ~= 'change' or redis.call('HGET', KEYS[5], user) then
        serving = open(KEYS[6 + i], pid, event, user, step, kind, findings)
      end
    elseif kind == 'new' then
      serving = last -- a later event of a known user: from now on its id is known too
      also_serves(key, last, event)
    else
      local f = redis.call('HMGET', key, 'state', 'step', 'kind', 'lease', 'code')
      local parked = f[1] == 'waiting' and f[5] == 'profile_incomplete'
      local reads_later = parked or (f[2] == step and not f[4])
      if ended[f[1]] then
        if kind ~= 'change' or f[3] ~= 'cleanup' then
          serving = open(KEYS[6 + i], pid, event, user, step, kind, findings, under_way(last))
          if serving == pid then supersede(last, f[1], pid) end
        end
      elseif by_profile[kind] and by_profile[f[3] or 'new'] and reads_later then
        -- It will read the profile after this event: one provisioning serves both.
        serving = last
        also_serves(key, last, event)
        redis.call('HSET', key, 'asked', us)
        if parked then
          redis.call('HSET', key, 'nb', 0)
          redis.call('ZADD', KEYS[4], us, last)
        end
      else
        serving = open(KEYS[6 + i], pid, event, user, step, kind, findings, last)
      end
    end
  end
  answer[i + 2] = serving or ''
end
return answer

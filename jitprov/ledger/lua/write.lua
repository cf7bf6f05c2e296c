-- Writes the next record of a provisioning: under a lease (a worker) or against what was seen (an operator).
-- KEYS 1 the provisioning's hash   2 due   3 emails (hash digest -> provisioning id)   4 given (hash user id -> sealed)
-- ARGV 1 prefix  2 provisioning id  3 guard: 'lease' or 'seen'  4 the lease's token, or a unique token of this change
--      5 the version `v` seen (guard 'seen')  6 state  7 step  8 generation  9 tries  10 nb µs  11 ended "1"/"0"
--      12 story  13 look_after µs  14 e-mail digest or ""  15 sealed findings, or "" to leave them as they are
--      16 code  17 cause  18 digest of the department and 19 its sealed name, or "" to leave them: what the board filters by
--      20 sealed memory of the user, "-" to forget it, or "" to leave it as it is: written with the step that it follows from
-- Returns 1 when written (or written before by the same token), 0 when the guard did not hold.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local us = string.format('%.0f', now)
local key, due, prefix, pid, token = KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[4]
local f = redis.call('HMGET', key, 'state', 'lease', 'lease_until', 'v', 'wrote', 'accepted', 'step', 'next', 'superseded')
local state = f[1]
if not state then return 0 end
if f[5] == token then return 1 end
if ARGV[3] == 'lease' then
  if f[2] ~= token then return 0 end
else
  if (f[4] or '0') ~= ARGV[5] then return 0 end
  if f[9] and ARGV[11] == '0' then return 0 end -- a later one took over: nobody resumes it
  if f[2] and tonumber(f[3]) > now then return 0 end
end
local next = f[8]
if next and ARGV[6] == 'failed' then
  -- A later one takes over at once: nobody need retry this.
  ARGV[6], ARGV[16], ARGV[17] = 'cancelled', '', ''
  redis.call('HSET', key, 'superseded', next)
elseif next and ARGV[6] == 'cancelled' then
  redis.call('HSET', key, 'superseded', next)
end
redis.call('HSET', key, 'state', ARGV[6], 'step', ARGV[7], 'gen', ARGV[8], 'tries', ARGV[9], 'nb', ARGV[10],
  'story', ARGV[12], 'updated', us, 'wrote', token, 'missed', 0, 'code', ARGV[16], 'cause', ARGV[17])
redis.call('HINCRBY', key, 'v', 1)
redis.call('HDEL', key, 'lease', 'lease_until', 'began')
if state ~= ARGV[6] then
  redis.call('ZREM', prefix .. 'state:' .. state, pid)
  redis.call('ZADD', prefix .. 'state:' .. ARGV[6], f[6], pid)
end
-- Its place among those that are under way at one step, and its end among those that ended so.
if f[7] ~= ARGV[7] or ARGV[11] == '1' then redis.call('ZREM', prefix .. 'at:' .. f[7], pid) end
redis.call('ZREM', prefix .. 'ended:' .. state, pid)
if ARGV[11] == '1' then
  redis.call('ZADD', prefix .. 'ended:' .. ARGV[6], us, pid)
  redis.call('HSET', key, 'ended', us)
  redis.call('HDEL', key, 'cancel')
  redis.call('ZREM', due, pid)
  if next then
    local before = redis.call('HGET', key, 'after')
    local ahead = before and redis.call('HGET', prefix .. 'p:' .. before, 'state')
    if ahead and ahead ~= 'ready' and ahead ~= 'failed' and ahead ~= 'cancelled' then
      -- Cancelled before its turn: the one behind it comes after the one before it.
      redis.call('HSET', prefix .. 'p:' .. next, 'after', before)
      redis.call('HSET', prefix .. 'p:' .. before, 'next', next)
    elseif redis.call('HGET', prefix .. 'p:' .. next, 'state') == 'waiting' then
      redis.call('ZADD', due, us, next)
    end
  end
else
  redis.call('ZADD', prefix .. 'at:' .. ARGV[7], f[6], pid)
  redis.call('HDEL', key, 'ended')
  redis.call('ZADD', due, string.format('%.0f', now + tonumber(ARGV[13])), pid)
end
if ARGV[3] == 'seen' then redis.call('HDEL', key, 'cancel') end
if ARGV[15] ~= '' then redis.call('HSET', key, 'findings', ARGV[15]) end
if ARGV[18] ~= '' then
  redis.call('HSET', key, 'dept', ARGV[18])
  redis.call('HSETNX', prefix .. 'departments', ARGV[18], ARGV[19])
end
if ARGV[20] == '-' then
  redis.call('HDEL', KEYS[4], redis.call('HGET', key, 'user'))
elseif ARGV[20] ~= '' then
  redis.call('HSET', KEYS[4], redis.call('HGET', key, 'user'), ARGV[20])
end
if ARGV[14] ~= '' then
  redis.call('HSET', KEYS[3], ARGV[14], pid)
  redis.call('HSET', key, 'email', ARGV[14])
end
return 1

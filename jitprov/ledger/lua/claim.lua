-- Gives one worker the right to run one step: the fence (step, generation, state) and the lease in one act.
-- KEYS 1 the provisioning's hash   2 due   3 given        ARGV 1 prefix  2 provisioning id
--      3 step  4 generation  5 token  6 lease µs  7.. the steps in order
-- Returns {reason, µs} when denied, {'', now µs, JSON of [field, value, ...]} when given: one text instead of forty
-- answers, which a client in Python would spend most of the claim's time on. Its last fields are not of the hash: `look`,
-- "1" when it was accepted before the book's `looks` (book.lua stands before this script), and `memory`, the user's sealed
-- entry in `given`, if there is one.
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local us = string.format('%.0f', now)
local key, due, prefix, pid, step, gen, token = KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local f = redis.call('HMGET', key, 'state', 'step', 'gen', 'lease', 'lease_until', 'nb', 'accepted', 'after')
local state = f[1]
if not state then return {'unknown', '0'} end
local place = {}
for i = 7, #ARGV do place[ARGV[i]] = i end
if tonumber(gen) < tonumber(f[3]) then return {'stale', '0'} end
if state ~= 'ready' and tonumber(gen) > tonumber(f[3]) then return {'early', '0'} end
if state == 'ready' then return {'done', '0'} end
if state == 'failed' or state == 'cancelled' then return {'ended', '0'} end
if place[step] < place[f[2]] then return {'done', '0'} end
if place[step] > place[f[2]] then return {'early', '0'} end
local renewed = f[4] == token
if f[4] and not renewed and tonumber(f[5]) > now then return {'leased', '0'} end
local before = f[8] and redis.call('HGET', prefix .. 'p:' .. f[8], 'state')
if before and before ~= 'ready' and before ~= 'failed' and before ~= 'cancelled' then
  return {'waiting', '3600000000'} -- comes after one that has not ended: the reconciler is told when it has
end
local nb = tonumber(f[6] or '0')
-- 50 ms: a timer that fires a little before its time is not worth another trip
if nb > now + 50000 then return {'waiting', string.format('%.0f', nb - now)} end
local until_us = string.format('%.0f', now + tonumber(ARGV[6]))
if not renewed then
  redis.call('HINCRBY', key, 'tries', 1)
  redis.call('HINCRBY', key, 'v', 1)
  redis.call('HSET', key, 'began', us, 'lease', token)
end
redis.call('HSET', key, 'lease_until', until_us, 'state', 'running', 'updated', us, 'nb', 0, 'missed', 0)
if state ~= 'running' then
  redis.call('ZREM', prefix .. 'state:' .. state, pid)
  redis.call('ZADD', prefix .. 'state:running', f[7], pid)
end
redis.call('ZADD', due, until_us, pid)
local held = redis.call('HGETALL', key)
held[#held + 1] = 'look'
held[#held + 1] = tonumber(f[7]) < looks_until and '1' or '0'
local memory = redis.call('HGET', KEYS[3], redis.call('HGET', key, 'user'))
if memory then
  held[#held + 1] = 'memory'
  held[#held + 1] = memory
end
return {'', us, cjson.encode(held)}

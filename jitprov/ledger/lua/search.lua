-- Walks provisionings in the order of acceptance, a bounded stretch a call, and returns what matches in one of three forms.
-- KEYS 1.. the state zsets to walk
-- ARGV 1 prefix  2 form: 'ids', 'tally' or 'causes'  3 from µs (inclusive)  4 after provisioning id, or ""
--      5 stretch: how many to look at  6 limit: how many matches  7 step or ""  8 code or ""
--      9 digests that the department's may be, or ""
-- Returns {µs and id where to go on, or "" "" at the end, then
--   ids: each id · tally, causes: step, cause or "", count, one id}.
-- Stable under load: a provisioning keeps its place (accepted, id) in whatever state it is.
local prefix, form, from, after = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local stretch, limit = tonumber(ARGV[5]), tonumber(ARGV[6])
local step, code, dept = ARGV[7], ARGV[8], ARGV[9]

-- Rank of the first entry of a zset that comes after (from, after). Ties are in the order of their ids.
local function first_after(key)
  local low = redis.call('ZCOUNT', key, '-inf', '(' .. from)
  if after == '' then return low end
  local high = redis.call('ZCOUNT', key, '-inf', from)
  while low < high do
    local middle = math.floor((low + high) / 2)
    if redis.call('ZRANGE', key, middle, middle)[1] <= after then low = middle + 1 else high = middle end
  end
  return low
end

local parts = {}
for _, key in ipairs(KEYS) do
  local rank = first_after(key)
  local part = redis.call('ZRANGE', key, rank, rank + stretch - 1, 'WITHSCORES')
  if #part > 0 then parts[#parts + 1] = {part, 1, tonumber(part[2])} end
end

-- The next one in the order of acceptance, from whichever state it stands in; nil when a part is used up.
local function following()
  local best
  for _, held in ipairs(parts) do
    local entry, at = held[1], held[2]
    if at > #entry then
      if #entry == stretch * 2 then return nil, true end
    elseif not best or held[3] < best[3] or (held[3] == best[3] and entry[at] < best[1][best[2]]) then
      best = held
    end
  end
  if not best then return nil, false end
  local part, at = best[1], best[2]
  best[2], best[3] = at + 2, tonumber(part[at + 3])
  return part[at], part[at + 1]
end

local function matches(pid)
  if step == '' and code == '' and dept == '' then return true end
  local f = redis.call('HMGET', prefix .. 'p:' .. pid, 'step', 'code', 'dept', 'state')
  if step ~= '' and f[1] ~= step then return false end
  -- one that a worker has taken since no longer waits for what its code says
  if code ~= '' and (f[2] ~= code or (f[4] ~= 'waiting' and f[4] ~= 'failed')) then return false end
  return dept == '' or (f[3] and string.find(dept, f[3], 1, true) ~= nil)
end

local answer, groups, by_name = {'', ''}, {}, {}
local seen, matched, last, last_us, more = 0, 0, '', '', true
while seen < stretch and matched < limit do
  local pid, us = following()
  if not pid then more = us break end
  seen, last, last_us = seen + 1, pid, us
  if matches(pid) then
    matched = matched + 1
    if form == 'ids' then
      answer[#answer + 1] = pid
    else
      local f = redis.call('HMGET', prefix .. 'p:' .. pid, 'step', form == 'causes' and 'cause' or 'step')
      local name = (f[2] or '') .. ' ' .. (f[1] or '')
      local group = by_name[name]
      if not group then
        group = {f[1] or '', form == 'causes' and f[2] or '', 0, pid}
        by_name[name], groups[#groups + 1] = group, group
      end
      group[3] = group[3] + 1
    end
  end
end

for _, group in ipairs(groups) do
  for _, value in ipairs(group) do answer[#answer + 1] = value end
end
if more then answer[1], answer[2] = last_us, last end
return answer

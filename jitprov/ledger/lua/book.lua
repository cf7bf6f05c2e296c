-- Stands before the scripts that nobody may run on a ledger that was emptied, exchanged or set back. Takes its own off
-- the front:   KEYS 1 book (hash: id, acknowledged, opens, looks, doubted; instants in µs)
--              KEYS 2 the hash of the last provisioning that this client wrote, or the book again
--              ARGV 1 id of the book in hand   2 version of that last write, or ""
-- Answers with an error `BOOK` when it is not the one in hand; the client then looks, and knows what to say.
-- Leaves behind `looks_until`: of those accepted before, some may have a phone that the ledger knows nothing of.
local looks_until
do
  local book, witness = table.remove(KEYS, 1), table.remove(KEYS, 1)
  local id, version = table.remove(ARGV, 1), table.remove(ARGV, 1)
  local f = redis.call('HMGET', book, 'id', 'doubted', 'opens', 'looks')
  if f[1] ~= id or f[2] then return {err = 'BOOK not the one in hand'} end
  if version ~= '' then
    local w = redis.call('HMGET', witness, 'state', 'v')
    if not w[1] or tonumber(w[2] or '0') < tonumber(version) then return {err = 'BOOK an older one'} end
  end
  if f[3] then
    local t = redis.call('TIME')
    if tonumber(f[3]) > t[1] * 1000000 + t[2] then return {err = 'BOOK not open yet'} end
  end
  looks_until = tonumber(f[4] or '0')
end

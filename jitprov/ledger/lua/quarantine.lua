-- Keeps the description of a refused body, and its sealed text for a while; the oldest beyond the bound go, text and all.
-- KEYS 1 quarantine (list)     ARGV 1 entry as JSON  2 its id  3 sealed text, or ''  4 text kept, ms  5 entries kept
redis.call('LPUSH', KEYS[1], ARGV[1])
if ARGV[3] ~= '' then redis.call('SET', KEYS[1] .. ':' .. ARGV[2], ARGV[3], 'PX', ARGV[4]) end
while redis.call('LLEN', KEYS[1]) > tonumber(ARGV[5]) do
  local id = cjson.decode(redis.call('RPOP', KEYS[1])).id
  if id then redis.call('DEL', KEYS[1] .. ':' .. id) end
end

-- Takes one entry out of quarantine, with its text. Returns how many there were, 0 or 1.
-- KEYS 1 quarantine (list)     ARGV 1 id
redis.call('DEL', KEYS[1] .. ':' .. ARGV[1])
for _, entry in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  if cjson.decode(entry).id == ARGV[1] then return redis.call('LREM', KEYS[1], 1, entry) end
end
return 0

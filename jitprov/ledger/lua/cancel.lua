-- Asks for the end of one that has not ended.   KEYS 1 the provisioning's hash   2 due    ARGV 1 provisioning id
local state = redis.call('HGET', KEYS[1], 'state')
if not state or state == 'ready' or state == 'failed' or state == 'cancelled' then return 0 end
redis.call('HSET', KEYS[1], 'cancel', '1')
return 1

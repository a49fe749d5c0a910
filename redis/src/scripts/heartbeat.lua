-- Marks an instance as live, counts its changes, updates the index of open keyed breakers, and returns the fleet's status.
--
-- KEYS: instances, changes, index
-- ARGV: instance, the milliseconds for which it counts as live, the number of changes to add; then pairs of a keyed breaker's id and the
-- milliseconds for which it stays in the index (0 removes it)
-- Returns: the number of live instances, and the number of changes so far (0 after a loss of data)
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
-- An instance is marked as live for at most 5 minutes. An end time beyond that was set before the clock went back, and is counted from now.
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], string.format('(%.0f', now + 300000), '+inf')) do
  redis.call('ZADD', KEYS[1], now + ARGV[2], name)
end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
if tonumber(ARGV[3]) > 0 then
  redis.call('INCRBY', KEYS[2], ARGV[3])
  redis.call('PEXPIRE', KEYS[2], 86400000)
end
if #ARGV > 3 then
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now)
  for i = 4, #ARGV, 2 do
    local ttl = tonumber(ARGV[i + 1])
    if ttl > 0 then
      redis.call('ZADD', KEYS[3], now + ttl, ARGV[i])
      redis.call('PEXPIRE', KEYS[3], math.max(ttl, redis.call('PTTL', KEYS[3])))
    else
      redis.call('ZREM', KEYS[3], ARGV[i])
    end
  end
end
return { redis.call('ZCARD', KEYS[1]), tonumber(redis.call('GET', KEYS[2]) or '0') }

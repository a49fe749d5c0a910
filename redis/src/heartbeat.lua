-- Says that an instance lives, and asks whether anything has changed.
--
-- KEYS: instances, changes, listed
-- ARGV: instance, for how many milliseconds that holds, how many changes to add; then breakers of keys to list, each with for how many
-- milliseconds (0 for those that need not be listed any more)
-- Gives: how many instances live, and a number that differs after each change
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
-- Nobody says that for longer than five minutes: where the clock went back, it lapses as if it was said now.
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
    local lasts = tonumber(ARGV[i + 1])
    if lasts > 0 then
      redis.call('ZADD', KEYS[3], now + lasts, ARGV[i])
      redis.call('PEXPIRE', KEYS[3], math.max(lasts, redis.call('PTTL', KEYS[3])))
    else
      redis.call('ZREM', KEYS[3], ARGV[i])
    end
  end
end
return { redis.call('ZCARD', KEYS[1]), tonumber(redis.call('GET', KEYS[2]) or '0') }

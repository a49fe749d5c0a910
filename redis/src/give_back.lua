-- Takes a call out of the counts that was not made: its caller was gone before the answer came. Nothing happens if it was not admitted.
--
-- KEYS: counts
-- ARGV: window or gcra, limit, the window's length in microseconds, the name of the call
local counts = KEYS[1]
if ARGV[1] == 'gcra' then
  -- Only the last call can be taken out: what those after it have found depends on it. Another one leaks away.
  local micros, parts, limit, per, name = string.match(redis.call('GET', counts) or '', '^(%d+)%+(%d+)%+(%d+)%+(%d+)%+(.*)$')
  if name == ARGV[4] then
    limit, per = tonumber(limit), tonumber(per)
    micros, parts = tonumber(micros) - math.floor(per / limit), tonumber(parts) - per % limit
    if parts < 0 then micros, parts = micros - 1, parts + limit end
    redis.call('SET', counts, string.format('%.0f+%.0f+%.0f+%.0f+', micros, parts, limit, per), 'KEEPTTL')
  end
else
  redis.call('ZREM', counts, ARGV[4])
end

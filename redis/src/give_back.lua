-- Gives back a place that a call has waited for and has not used.
--
-- KEYS: counts
-- ARGV: window or gcra, limit, the window's length in microseconds, the name of the call
local counts = KEYS[1]
if ARGV[1] == 'gcra' then
  -- Who waits for its moment stands before that; so do all who came later, and each of them a little less late without it.
  local limit, per = tonumber(ARGV[2]), tonumber(ARGV[3])
  local micros, parts = string.match(redis.call('GET', counts) or '', '^(%d+)%+(%d+)$')
  if micros then
    micros, parts = tonumber(micros) - math.floor(per / limit), tonumber(parts) - per % limit
    if parts < 0 then micros, parts = micros - 1, parts + limit end
    redis.call('SET', counts, string.format('%.0f+%.0f', micros, parts), 'KEEPTTL')
  end
else
  redis.call('ZREM', counts, ARGV[4])
end

-- Gives back a place that a call has waited for and has not used.
--
-- KEYS: counts
-- ARGV: window or gcra, limit, the window's length in microseconds, the name of the call
local counts = KEYS[1]
if ARGV[1] == 'gcra' then
  -- Who waits for its moment stands before that; so do all who came later, and each of them a little less late without it.
  local arrival = tonumber(redis.call('GET', counts))
  if arrival then
    redis.call('SET', counts, string.format('%.3f', arrival - tonumber(ARGV[3]) / tonumber(ARGV[2])), 'KEEPTTL')
  end
else
  redis.call('ZREM', counts, ARGV[4])
end

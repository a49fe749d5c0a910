-- Asks for a place under a rate limit. The time is Redis's own, in microseconds, and what has no effect any more expires.
--
-- KEYS: counts
-- ARGV: window or gcra, limit, the window's length, how long the call would wait, a name that no other call has
-- Gives: whether there is a place, how long until it (or until there is one), now
local counts, limit, per, wait = KEYS[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local at = now

-- In milliseconds, never too early.
local function until_moment(moment) return math.ceil((moment - now) / 1000) + 1 end

if ARGV[1] == 'gcra' then
  -- When the bucket is empty: whole microseconds and a number of limit-ths of one, as microseconds of today leave a double no room
  -- for fractions. Under another limit the fraction counts as one of its own.
  local micros, parts = string.match(redis.call('GET', counts) or '', '^(%d+)%+(%d+)$')
  micros, parts = tonumber(micros) or now, math.min(tonumber(parts) or 0, limit - 1)
  if micros < now then micros, parts = now, 0 end
  micros, parts = micros + math.floor(per / limit), parts + per % limit
  if parts >= limit then micros, parts = micros + 1, parts - limit end
  at = math.max(now, micros - per + (parts > 0 and 1 or 0))
  if at - now > wait then return { 0, at - now, now } end
  redis.call('SET', counts, string.format('%.0f+%.0f', micros, parts), 'PX', until_moment(micros + 1))
  return { 1, at - now, now }
end

-- A call leaves a window after its whole length. Calls that wait stand in it with the moment that they wait for.
redis.call('ZREMRANGEBYSCORE', counts, '-inf', string.format('%.0f', now - per))
if redis.call('ZCARD', counts) >= limit then
  -- The last so many calls leave room as soon as the first of them has left.
  local first = redis.call('ZRANGE', counts, -limit, -limit, 'WITHSCORES')
  at = math.max(now, tonumber(first[2]) + per)
end
if at - now > wait then return { 0, at - now, now } end
redis.call('ZADD', counts, string.format('%.0f', at), ARGV[5])
redis.call('PEXPIRE', counts, math.max(until_moment(at + per), redis.call('PTTL', counts)))
return { 1, at - now, now }

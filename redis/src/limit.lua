-- Asks for a call under a rate limit, or takes one out of the counts. A call starts now if it is admitted, and is counted in that case
-- alone. The time is Redis's own, in microseconds, and what has no effect any more expires.
--
-- One script does both, so that Redis has it when there is something to take out: a script that it has yet to get is overtaken.
--
-- KEYS: counts
-- ARGV: window or gcra, limit, the window's length, a name that no other call has, and `take out` for a call that is not made
-- Gives: whether it is admitted, how long until there is capacity if it is not, now; nothing if it takes a call out
local counts, limit, per, name = KEYS[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
if ARGV[5] == 'take out' then
  -- Nothing happens if it was not admitted.
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
  return
end

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

-- In milliseconds, never too early.
local function until_moment(moment) return math.ceil((moment - now) / 1000) + 1 end

if ARGV[1] == 'gcra' then
  -- When the bucket is empty: whole microseconds and a number of limit-ths of one, as microseconds of today leave a double no room
  -- for fractions; then the limit by which that was counted, and the name of the last call.
  local micros, parts, calls, length = string.match(redis.call('GET', counts) or '', '^(%d+)%+(%d+)%+(%d+)%+(%d+)%+')
  micros, parts, calls, length = tonumber(micros) or now, tonumber(parts) or 0, tonumber(calls) or limit, tonumber(length) or per
  if micros < now then micros, parts = now, 0 end
  if calls ~= limit or length ~= per then
    -- Under another limit the calls that are in the bucket stay in it, at most as many as it holds.
    local left = math.min((micros - now + parts / calls) * calls / length, limit)
    micros, parts = now + math.ceil(left * per / limit), 0
  end
  micros, parts = micros + math.floor(per / limit), parts + per % limit
  if parts >= limit then micros, parts = micros + 1, parts - limit end
  local at = micros - per + (parts > 0 and 1 or 0)
  if at > now then return { 0, at - now, now } end
  local state = string.format('%.0f+%.0f+%.0f+%.0f+%s', micros, parts, limit, per, name)
  redis.call('SET', counts, state, 'PX', until_moment(micros + 1))
  return { 1, 0, now }
end

-- A call leaves a window after its whole length.
redis.call('ZREMRANGEBYSCORE', counts, '-inf', string.format('%.0f', now - per))
if redis.call('ZCARD', counts) >= limit then
  -- There is capacity as soon as all but the last `limit - 1` have left.
  local first = redis.call('ZRANGE', counts, -limit, -limit, 'WITHSCORES')
  return { 0, tonumber(first[2]) + per - now, now }
end
redis.call('ZADD', counts, string.format('%.0f', now), name)
redis.call('PEXPIRE', counts, math.max(until_moment(now + per), redis.call('PTTL', counts)))
return { 1, 0, now }

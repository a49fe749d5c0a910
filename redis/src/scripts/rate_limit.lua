-- Admits or rejects a call under a rate limit, or cancels one. Only admitted calls are counted, from the time of their admission. The time
-- is that of Redis, in microseconds, and each key expires as soon as it has no effect.
--
-- One script does both, so that Redis has it cached when a call is cancelled. A script that is not cached takes further round trips, in
-- which later requests could overtake the cancellation.
--
-- KEYS: counts
-- ARGV: `window` or `gcra`, the limit, the window's length, the unique name of the call; `cancel` to cancel that call
-- Returns: 1 if the call is admitted, otherwise 0; the time until there is capacity (0 if it is admitted); the current time. Nothing for
-- `cancel`.
local counts, limit, per, name = KEYS[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
if ARGV[5] == 'cancel' then
  -- Has no effect if the call was not admitted.
  if ARGV[1] == 'gcra' then
    -- Only the last call can be cancelled, since decisions about later calls depend on those before. Any other call remains counted until
    -- it has leaked away.
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

-- Returns the milliseconds until a time, rounded up so that a key never expires too early.
local function millis_until(moment) return math.ceil((moment - now) / 1000) + 1 end

if ARGV[1] == 'gcra' then
  -- The stored value: the time at which the bucket is empty, the limit and window by which it was computed, and the name of the last call.
  -- The time is stored as whole microseconds (`micros`) and a fraction in units of 1/limit microseconds (`parts`), since a double that
  -- holds the microseconds since 1970 has no bits left for a fraction.
  local micros, parts, calls, length = string.match(redis.call('GET', counts) or '', '^(%d+)%+(%d+)%+(%d+)%+(%d+)%+')
  micros, parts, calls, length = tonumber(micros) or now, tonumber(parts) or 0, tonumber(calls) or limit, tonumber(length) or per
  if micros < now then micros, parts = now, 0 end
  if calls ~= limit or length ~= per then
    -- The limit was reconfigured: the calls in the bucket are kept, up to the new capacity.
    local left = math.min((micros - now + parts / calls) * calls / length, limit)
    micros, parts = now + math.ceil(left * per / limit), 0
  end
  micros, parts = micros + math.floor(per / limit), parts + per % limit
  if parts >= limit then micros, parts = micros + 1, parts - limit end
  local at = micros - per + (parts > 0 and 1 or 0)
  if at > now then return { 0, at - now, now } end
  local state = string.format('%.0f+%.0f+%.0f+%.0f+%s', micros, parts, limit, per, name)
  redis.call('SET', counts, state, 'PX', millis_until(micros + 1))
  return { 1, 0, now }
end

-- A call leaves the window after the window's length.
redis.call('ZREMRANGEBYSCORE', counts, '-inf', string.format('%.0f', now - per))
if redis.call('ZCARD', counts) >= limit then
  -- There is capacity as soon as all but the last `limit - 1` calls have left.
  local first = redis.call('ZRANGE', counts, -limit, -limit, 'WITHSCORES')
  return { 0, tonumber(first[2]) + per - now, now }
end
redis.call('ZADD', counts, string.format('%.0f', now), name)
redis.call('PEXPIRE', counts, math.max(millis_until(now + per), redis.call('PTTL', counts)))
return { 1, 0, now }

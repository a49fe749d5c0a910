-- Admits or rejects a call under a rate limit, or cancels one. Only admitted calls are counted, from the time of their admission. A call that
-- takes several permits gets all of them or none. The time is that of Redis, in microseconds, and each key expires as soon as it has no
-- effect.
--
-- One script does both, so that Redis has it cached when a call is cancelled. A script that is not cached takes further round trips, in
-- which later requests could overtake the cancellation.
--
-- KEYS: counts
-- ARGV: `window` or `gcra`, the limit, the window's length, the unique name of the call; `admit`, or `cancel` to cancel that call; the
-- permits of the call (1 if absent); the number of permits that `gcra` admits at once (the limit if absent)
-- Returns: 1 if the call is admitted, otherwise 0; the time until there is capacity (0 if it is admitted); the current time. Nothing for
-- `cancel`.
local counts, limit, per, name = KEYS[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local permits, burst = tonumber(ARGV[6] or 1), tonumber(ARGV[7] or limit)

-- The number of arguments that one command gets: Lua bounds the number of values that `unpack` returns.
local CHUNK = 1000

-- Returns the time of `count` intervals of a limit: whole microseconds, and a fraction in units of 1/limit microseconds.
local function intervals(count, limit, per)
  local parts = per % limit * count
  return math.floor(per / limit) * count + math.floor(parts / limit), parts % limit
end

-- Calls a command with arguments for each permit of the call: `of(permit)` returns one member, or a score and a member.
local function for_each_permit(command, of)
  local first = 1
  while first <= permits do
    local arguments = {}
    for permit = first, math.min(first + CHUNK - 1, permits) do
      for _, argument in ipairs(of(permit)) do table.insert(arguments, argument) end
    end
    redis.call(command, counts, unpack(arguments))
    first = first + CHUNK
  end
end

-- The name of a permit. The first has the name of the call.
local function member(permit) return permit == 1 and name or name .. '/' .. permit end

if ARGV[5] == 'cancel' then
  -- Has no effect if the call was not admitted.
  if ARGV[1] == 'gcra' then
    -- Only the last call can be cancelled, since decisions about later calls depend on those before. Any other call remains counted until
    -- it has leaked away.
    local micros, parts, limit, per, last = string.match(redis.call('GET', counts) or '', '^(%d+)%+(%d+)%+(%d+)%+(%d+)%+(.*)$')
    if last == name then
      limit, per = tonumber(limit), tonumber(per)
      local own_micros, own_parts = intervals(permits, limit, per)
      micros, parts = tonumber(micros) - own_micros, tonumber(parts) - own_parts
      if parts < 0 then micros, parts = micros - 1, parts + limit end
      redis.call('SET', counts, string.format('%.0f+%.0f+%.0f+%.0f+', micros, parts, limit, per), 'KEEPTTL')
    end
  else
    for_each_permit('ZREM', function(permit) return { member(permit) } end)
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
    local left = math.min((micros - now + parts / calls) * calls / length, burst)
    micros, parts = now + math.ceil(left * per / limit), 0
  end
  local own_micros, own_parts = intervals(permits, limit, per)
  micros, parts = micros + own_micros, parts + own_parts
  if parts >= limit then micros, parts = micros + 1, parts - limit end
  -- The call starts as soon as the bucket, with its own permits, holds no more than the burst.
  local burst_micros, burst_parts = intervals(burst, limit, per)
  local at = micros - burst_micros + (parts > burst_parts and 1 or 0)
  if at > now then return { 0, at - now, now } end
  local state = string.format('%.0f+%.0f+%.0f+%.0f+%s', micros, parts, limit, per, name)
  redis.call('SET', counts, state, 'PX', millis_until(micros + 1))
  return { 1, 0, now }
end

-- A call leaves the window after the window's length.
redis.call('ZREMRANGEBYSCORE', counts, '-inf', string.format('%.0f', now - per))
if redis.call('ZCARD', counts) + permits > limit then
  -- There is capacity as soon as all but the last `limit - permits` have left.
  local index = permits - limit - 1
  local first = redis.call('ZRANGE', counts, index, index, 'WITHSCORES')
  return { 0, tonumber(first[2]) + per - now, now }
end
for_each_permit('ZADD', function(permit) return { string.format('%.0f', now), member(permit) } end)
redis.call('PEXPIRE', counts, math.max(millis_until(now + per), redis.call('PTTL', counts)))
return { 1, 0, now }

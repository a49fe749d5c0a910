-- Handles one request about a breaker that a fleet shares, atomically. All keys of a breaker are in one slot, and each of them expires.
-- The time is that of Redis.
--
-- KEYS: state, votes, lease, audit; failures for `report`
-- ARGV: verb, instance, channel, breaker id, then the arguments of the verb
-- Returns:
--   1. the state as a line
--   2. the grant: 1 if the caller holds the lease or its report reached the failure threshold, 2 if it holds the lease but another
--      instance gets it next, otherwise 0
--   3. the milliseconds for which another instance holds the lease
--   4. 1 if the state changed, otherwise 0
--
-- A line: version, kind, milliseconds left (-1 without an end), failed recoveries, set by, reason.
--
-- The version is the Redis time of the change in microseconds. It always rises, even if the clock goes back: a state is kept until the
-- clock has passed its version, so that no lower version can follow.
--
-- If the clock goes back, a stored end time may be far in the future. Each duration is then counted again from now, so that the remaining
-- time never exceeds the original duration.
local state, votes, lease, audit = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local verb, me, channel, id = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

-- The time for which a state is kept after its end, and, for one without an end, after its last read. In milliseconds.
local STATE_TTL, ENDLESS_STATE_TTL = 600000, 2592000000
-- The number of entries in the audit trail, and the time for which they are kept, in milliseconds.
local AUDIT_ENTRIES, AUDIT_TTL = 100, 7776000000
-- The maximum remaining time of an older vote, in milliseconds, unless the new vote is valid for longer.
local MAX_VOTE = 600000

local time = redis.call('TIME')
local micros = tonumber(time[1]) * 1000000 + tonumber(time[2])
local now = math.floor(micros / 1000)

local fields = redis.call('HMGET', state, 'version', 'kind', 'until', 'failed', 'by', 'reason', 'at')
local version, kind, ends = tonumber(fields[1]) or 0, fields[2], tonumber(fields[3]) or 0
local failed, by, reason = tonumber(fields[4]) or 0, fields[5] or '', fields[6] or ''
local at = tonumber(fields[7]) or math.floor(version / 1000)
local grant, lease_left, changed = 0, 0, 0

if ends > 0 and at > now then
  -- The clock went back. If this is a lease request, the recovery timeout counts as elapsed, since an instance sends a lease request only
  -- after the timeout has elapsed by its own clock.
  local remaining = verb == 'lease' and kind == 'open' and 0 or math.max(ends - at, 0)
  ends = now + remaining
  redis.call('HSET', state, 'until', string.format('%.0f', ends), 'at', string.format('%.0f', now))
  redis.call('PEXPIRE', state, math.max(math.floor(version / 1000) - now, 0) + remaining + STATE_TTL)
end

-- An expired override: after `forced`, the circuit is open until a recovery succeeds; after `disabled`, it is closed.
if kind == 'forced' and ends > 0 and ends <= now then kind = 'open' end
if kind == 'disabled' and ends > 0 and ends <= now then kind = 'closed' end
-- The key is missing or has foreign content.
if kind ~= 'closed' and kind ~= 'reset' and kind ~= 'open' and kind ~= 'forced' and kind ~= 'disabled' then
  version, kind, ends, failed, by, reason = 0, 'missing', 0, 0, '', ''
end
local is_overridden = kind == 'forced' or kind == 'disabled'

local function line()
  local left = ends == 0 and -1 or math.max(ends - now, 0)
  return table.concat({ string.format('%.0f', version), kind, string.format('%.0f', left), failed, by, reason }, '\31')
end

-- Stores a new state, clears votes and lease, and broadcasts the change. `duration` is in milliseconds; a negative one has no end.
local function transition(new_kind, duration, new_failed, new_by, new_reason)
  version = math.max(micros, version + 1)
  kind, failed, by, reason = new_kind, new_failed, new_by, new_reason
  ends = duration < 0 and 0 or now + duration
  redis.call('DEL', state, votes, lease)
  redis.call('HSET', state, 'version', string.format('%.0f', version), 'kind', kind, 'until', string.format('%.0f', ends),
    'failed', failed, 'by', by, 'reason', reason, 'at', string.format('%.0f', now))
  local endless = duration < 0 and (kind == 'forced' or kind == 'disabled')
  local ahead = math.max(math.floor(version / 1000) - now, 0)
  redis.call('PEXPIRE', state, endless and ENDLESS_STATE_TTL or ahead + math.max(duration, 0) + STATE_TTL)
  redis.call('PUBLISH', channel, line() .. '\31' .. id)
  changed = 1
end

-- Returns the lease: its holder, the milliseconds for which it was granted, and the best claim of the waiting instances (0 if none waits).
local function current_lease()
  local value = redis.call('GET', lease)
  if not value then return nil, 0, 0 end
  local holder, duration, claim = string.match(value, '^([^\31]*)\31(%d+)\31(%d+)$')
  return holder or value, tonumber(duration) or 0, tonumber(claim) or 0
end

local function set_lease(holder, duration, claim, ttl)
  redis.call('SET', lease, table.concat({ holder, duration, string.format('%.0f', claim) }, '\31'), 'PX', ttl)
end

local function holds_lease()
  local holder = current_lease()
  return holder == me
end

if verb == 'read' then
  if is_overridden and ends == 0 then redis.call('PEXPIRE', state, ENDLESS_STATE_TTL) end

elseif verb == 'vote' and not is_overridden then
  local open_for, my_failed, quorum = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
  local valid_for, why = tonumber(ARGV[8]), ARGV[9]
  if holds_lease() then
    -- Trial calls failed.
    transition('open', open_for, my_failed, me, why)
  elseif kind ~= 'open' then
    redis.call('ZREMRANGEBYSCORE', votes, '-inf', now)
    redis.call('ZADD', votes, now + valid_for, me)
    -- Shortens votes that were cast before the clock went back.
    local latest = now + math.max(valid_for, MAX_VOTE)
    for _, name in ipairs(redis.call('ZRANGEBYSCORE', votes, string.format('(%.0f', latest), '+inf')) do
      redis.call('ZADD', votes, latest, name)
    end
    redis.call('PEXPIRE', votes, math.max(valid_for, redis.call('PTTL', votes)))
    if redis.call('ZCARD', votes) >= quorum then transition('open', open_for, my_failed, me, why) end
  end

elseif verb == 'report' and not is_overridden and kind ~= 'open' then
  -- Sums the failures of all instances in 16 slices of the time span. The instance whose report reaches the threshold then opens the
  -- fleet.
  local failures, threshold, span, sums = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), KEYS[5]
  local slice = math.max(math.floor(span / 16), 1)
  local current = math.floor(now / slice)
  redis.call('HINCRBY', sums, string.format('%.0f', current), failures)
  redis.call('PEXPIRE', sums, span)
  local entries, count = redis.call('HGETALL', sums), 0
  for i = 1, #entries, 2 do
    local number = tonumber(entries[i])
    if number and number > current - 16 and number <= current then
      count = count + (tonumber(entries[i + 1]) or 0)
    else
      redis.call('HDEL', sums, entries[i])
    end
  end
  if count >= threshold then
    redis.call('DEL', sums)
    grant = 1
  end

elseif verb == 'lease' and (kind == 'missing' or (kind == 'open' and ends <= now)) then
  local duration, my_claim, yields_above = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
  local holder, granted_for, claim = current_lease()
  if holder and holder ~= me then
    -- The TTL exceeds the granted duration only if the clock went back.
    local limit = granted_for > 0 and granted_for or duration
    lease_left = math.max(math.min(redis.call('PTTL', lease), limit), 1)
    set_lease(holder, limit, math.max(claim, my_claim), lease_left)
  elseif yields_above >= 0 and claim > yields_above then
    grant = 2
  else
    set_lease(me, duration, claim, duration)
    grant = 1
  end

elseif verb == 'close' then
  redis.call('ZREM', votes, me)
  local expected = tonumber(ARGV[5])
  if (kind == 'open' and version == expected) or ((kind == 'open' or kind == 'missing') and holds_lease()) then
    transition('closed', -1, 0, me, 'recovered')
  end

elseif verb == 'withdraw' then
  redis.call('ZREM', votes, me)
  if holds_lease() then redis.call('DEL', lease) end

elseif verb == 'restore' and version < tonumber(ARGV[9]) then
  -- After a failover the clock may be behind the lost version. The new version is above that one nevertheless.
  version = tonumber(ARGV[9])
  transition(ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[10]), ARGV[7], ARGV[8])

elseif verb == 'override' then
  local action, duration, operator, why = ARGV[5], tonumber(ARGV[6]), ARGV[7], ARGV[8]
  transition(action, duration, 0, operator, why)
  local entry = { string.format('%.0f', micros), action, string.format('%.0f', duration), operator, why }
  redis.call('LPUSH', audit, table.concat(entry, '\31'))
  redis.call('LTRIM', audit, 0, AUDIT_ENTRIES - 1)
  redis.call('PEXPIRE', audit, AUDIT_TTL)
end

return { line(), grant, lease_left, changed }

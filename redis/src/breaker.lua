-- One step of a breaker that a fleet shares. Its keys are in one slot, the time is Redis's own, and each key expires.
--
-- KEYS: state, votes, lease, audit
-- ARGV: verb, instance, channel, what the breaker is called, then what the verb needs
-- Gives: the state as a line; 1 if the caller holds the lease or has reached the threshold, 2 if it holds the lease and is to let another
-- have it next; for how long another holds it; whether something changed
--
-- A line: version, kind, milliseconds left (-1 without an end), failed recoveries, by whom, why. The version is Redis's time of the
-- change in microseconds, and rises.
local state, votes, lease, audit = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local verb, me, channel, id = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

-- For how long a state is kept after it has ended, and one without an end after anybody has asked for it, in milliseconds.
local KEPT, KEPT_WITHOUT_END = 600000, 2592000000
-- Entries of the audit trail, and for how long they are kept.
local ENTRIES, KEPT_ENTRIES = 100, 7776000000

local time = redis.call('TIME')
local micros = tonumber(time[1]) * 1000000 + tonumber(time[2])
local now = math.floor(micros / 1000)

local found = redis.call('HMGET', state, 'version', 'kind', 'until', 'failed', 'by', 'reason')
local version, kind, till = tonumber(found[1]) or 0, found[2], tonumber(found[3]) or 0
local failed, by, reason = tonumber(found[4]) or 0, found[5] or '', found[6] or ''
local granted, lease_left, changed = 0, 0, 0

-- What an operator said is over: forced open, trial calls decide.
if kind == 'forced' and till > 0 and till <= now then kind = 'open' end
if kind == 'disabled' and till > 0 and till <= now then kind = 'closed' end
-- Nothing is there, or nothing of ours.
if kind ~= 'closed' and kind ~= 'reset' and kind ~= 'open' and kind ~= 'forced' and kind ~= 'disabled' then
  version, kind, till, failed, by, reason = 0, 'missing', 0, 0, '', ''
end
local held = kind == 'forced' or kind == 'disabled'

local function line()
  local left = till == 0 and -1 or math.max(till - now, 0)
  return table.concat({ string.format('%.0f', version), kind, string.format('%.0f', left), failed, by, reason }, '\31')
end

local function become(new_kind, rest, new_failed, new_by, new_reason)
  version = math.max(micros, version + 1)
  kind, failed, by, reason = new_kind, new_failed, new_by, new_reason
  till = rest < 0 and 0 or now + rest
  redis.call('DEL', state, votes, lease)
  redis.call('HSET', state, 'version', string.format('%.0f', version), 'kind', kind, 'until', string.format('%.0f', till),
    'failed', failed, 'by', by, 'reason', reason)
  local endless = rest < 0 and (kind == 'forced' or kind == 'disabled')
  redis.call('PEXPIRE', state, endless and KEPT_WITHOUT_END or math.max(rest, 0) + KEPT)
  redis.call('PUBLISH', channel, line() .. '\31' .. id)
  changed = 1
end

-- Who holds the lease, and whether another one wants it. That is noted behind the name.
local function holder()
  local value = redis.call('GET', lease)
  if not value then return nil, false end
  local name = string.match(value, '^([^\31]*)')
  return name, name ~= value
end

local function is_mine() return holder() == me end

if verb == 'read' then
  if held and till == 0 then redis.call('PEXPIRE', state, KEPT_WITHOUT_END) end

elseif verb == 'announce' and not held then
  local rest, my_failed, quorum = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
  local lasts, why = tonumber(ARGV[8]), ARGV[9]
  if is_mine() then
    become('open', rest, my_failed, me, why)
  elseif kind ~= 'open' then
    redis.call('ZREMRANGEBYSCORE', votes, '-inf', now)
    redis.call('ZADD', votes, now + lasts, me)
    redis.call('PEXPIRE', votes, math.max(lasts, redis.call('PTTL', votes)))
    if redis.call('ZCARD', votes) >= quorum then become('open', rest, my_failed, me, why) end
  end

elseif verb == 'report' and not held and kind ~= 'open' then
  -- Failures summed over the fleet, in sixteen slices of the span. Whoever reaches the threshold opens.
  local failures, threshold, span, sums = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), KEYS[5]
  local slice = math.max(math.floor(span / 16), 1)
  local current = math.floor(now / slice)
  redis.call('HINCRBY', sums, string.format('%.0f', current), failures)
  redis.call('PEXPIRE', sums, span)
  local entries, count = redis.call('HGETALL', sums), 0
  for i = 1, #entries, 2 do
    local at = tonumber(entries[i])
    if at and at > current - 16 then
      count = count + (tonumber(entries[i + 1]) or 0)
    else
      redis.call('HDEL', sums, entries[i])
    end
  end
  if count >= threshold then
    redis.call('DEL', sums)
    granted = 1
  end

elseif verb == 'ask' and (kind == 'missing' or (kind == 'open' and till <= now)) then
  local name, is_wanted = holder()
  if name and name ~= me then
    if not is_wanted then redis.call('SET', lease, name .. '\31', 'KEEPTTL') end
    lease_left = math.max(redis.call('PTTL', lease), 0)
  elseif is_wanted and ARGV[6] == 'yields' then
    granted = 2
  else
    redis.call('SET', lease, is_wanted and me .. '\31' or me, 'PX', ARGV[5])
    granted = 1
  end

elseif verb == 'close' then
  redis.call('ZREM', votes, me)
  local seen = tonumber(ARGV[5])
  if (kind == 'open' and version == seen) or ((kind == 'open' or kind == 'missing') and is_mine()) then
    become('closed', -1, 0, me, 'recovered')
  end

elseif verb == 'leave' then
  redis.call('ZREM', votes, me)
  if is_mine() then redis.call('DEL', lease) end

elseif verb == 'restore' and version < tonumber(ARGV[9]) then
  -- After a failover the time may have gone back, but no version does.
  version = tonumber(ARGV[9])
  become(ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[10]), ARGV[7], ARGV[8])

elseif verb == 'operate' then
  local action, rest, who, why = ARGV[5], tonumber(ARGV[6]), ARGV[7], ARGV[8]
  become(action, rest, 0, who, why)
  redis.call('LPUSH', audit, table.concat({ string.format('%.0f', micros), action, string.format('%.0f', rest), who, why }, '\31'))
  redis.call('LTRIM', audit, 0, ENTRIES - 1)
  redis.call('PEXPIRE', audit, KEPT_ENTRIES)
end

return { line(), granted, lease_left, changed }

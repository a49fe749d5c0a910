-- One step of a breaker that a fleet shares. Its keys are in one slot, the time is Redis's own, and each key expires.
--
-- KEYS: state, votes, lease, audit
-- ARGV: verb, instance, channel, what the breaker is called, then what the verb needs
-- Gives: the state as a line; 1 if the caller holds the lease or has reached the threshold, 2 if it holds the lease and is to let another
-- have it next; for how long another holds it; whether something changed
--
-- A line: version, kind, milliseconds left (-1 without an end), failed recoveries, by whom, why. The version is Redis's time of the
-- change in microseconds, and rises, also where the clock goes back. A state is kept until the clock has passed its version, so no
-- lower one follows.
--
-- No duration is trusted to a clock that went back: what was written in the future lasts as long as it was to last, from now.
local state, votes, lease, audit = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local verb, me, channel, id = ARGV[1], ARGV[2], ARGV[3], ARGV[4]

-- For how long a state is kept after it has ended, and one without an end after anybody has asked for it, in milliseconds.
local KEPT, KEPT_WITHOUT_END = 600000, 2592000000
-- Entries of the audit trail, and for how long they are kept.
local ENTRIES, KEPT_ENTRIES = 100, 7776000000
-- For how long a vote counts that is longer than the one after it, in milliseconds.
local LONGEST_VOTE = 600000

local time = redis.call('TIME')
local micros = tonumber(time[1]) * 1000000 + tonumber(time[2])
local now = math.floor(micros / 1000)

local found = redis.call('HMGET', state, 'version', 'kind', 'until', 'failed', 'by', 'reason', 'at')
local version, kind, till = tonumber(found[1]) or 0, found[2], tonumber(found[3]) or 0
local failed, by, reason = tonumber(found[4]) or 0, found[5] or '', found[6] or ''
local at = tonumber(found[7]) or math.floor(version / 1000)
local granted, lease_left, changed = 0, 0, 0

if till > 0 and at > now then
  -- An instance asks for the lease once it has seen the rest pass by its own clock.
  local rest = verb == 'ask' and kind == 'open' and 0 or math.max(till - at, 0)
  till = now + rest
  redis.call('HSET', state, 'until', string.format('%.0f', till), 'at', string.format('%.0f', now))
  redis.call('PEXPIRE', state, math.max(math.floor(version / 1000) - now, 0) + rest + KEPT)
end

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
    'failed', failed, 'by', by, 'reason', reason, 'at', string.format('%.0f', now))
  local endless = rest < 0 and (kind == 'forced' or kind == 'disabled')
  local ahead = math.max(math.floor(version / 1000) - now, 0)
  redis.call('PEXPIRE', state, endless and KEPT_WITHOUT_END or ahead + math.max(rest, 0) + KEPT)
  redis.call('PUBLISH', channel, line() .. '\31' .. id)
  changed = 1
end

-- The lease: its holder, for how many milliseconds it was given, and the best claim of those who wait for it (0 if there is none).
local function holder()
  local value = redis.call('GET', lease)
  if not value then return nil, 0, 0 end
  local name, lasts, claim = string.match(value, '^([^\31]*)\31(%d+)\31(%d+)$')
  return name or value, tonumber(lasts) or 0, tonumber(claim) or 0
end

local function lend(name, lasts, claim, left)
  redis.call('SET', lease, table.concat({ name, lasts, string.format('%.0f', claim) }, '\31'), 'PX', left)
end

local function is_mine()
  local name = holder()
  return name == me
end

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
    -- Where the clock went back, an older vote lasts no longer than this.
    local longest = now + math.max(lasts, LONGEST_VOTE)
    for _, name in ipairs(redis.call('ZRANGEBYSCORE', votes, string.format('(%.0f', longest), '+inf')) do
      redis.call('ZADD', votes, longest, name)
    end
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
    if at and at > current - 16 and at <= current then
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
  local lasts, my_claim, yields_above = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
  local name, given, claim = holder()
  if name and name ~= me then
    -- Longer than it was given only where the clock went back.
    lease_left = math.max(math.min(redis.call('PTTL', lease), given > 0 and given or lasts), 1)
    lend(name, given > 0 and given or lasts, math.max(claim, my_claim), lease_left)
  elseif yields_above >= 0 and claim > yields_above then
    granted = 2
  else
    lend(me, lasts, claim, lasts)
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

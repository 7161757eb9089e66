"""What Redis does in one step: Lua, run by the server, which nothing else comes between.

Time is the server's own (TIME), so that all machines agree. Integers are whole up to 2**53 there.
"""

from typing import Final

from proxy_pkg.store.contract import AGE_PARTS, LEASE_SECONDS_MAX, PERIOD_PARTS, RING_NOTES_MAX

_CLOCK: Final = """
local time = redis.call('TIME')
local now_us = tonumber(time[1]) * 1000000 + tonumber(time[2])
local now_ms = math.floor(now_us / 1000)
local function whole(number) return string.format('%.0f', number) end
"""

_LEASES: Final = f"""
local lease_ms = {LEASE_SECONDS_MAX * 1000}
local function forget(places, notes)
  local gone = redis.call('ZRANGEBYSCORE', places, '-inf', whole(now_ms), 'LIMIT', 0, 1000)
  if #gone > 0 then
    redis.call('ZREM', places, unpack(gone))
    redis.call('HDEL', notes, unpack(gone))
  end
end
local function enter(places, notes, name, note)
  redis.call('ZADD', places, whole(now_ms + lease_ms), name)
  redis.call('HSET', notes, name, note)
  redis.call('PEXPIRE', places, 2 * lease_ms)
  redis.call('PEXPIRE', notes, 2 * lease_ms)
end
"""

_HOLDS: Final = """
local function keep(holds, worker, units)
  if units <= 0 then
    redis.call('HDEL', holds, worker, 't:' .. worker)
  else
    redis.call('HSET', holds, worker, whole(units), 't:' .. worker, whole(now_ms + lease_ms))
    redis.call('PEXPIRE', holds, 2 * lease_ms)
  end
end
local function reserve(holds, worker, change)
  if change ~= 0 then keep(holds, worker, tonumber(redis.call('HGET', holds, worker) or '0') + change) end
end
"""

# ARGV: force, then for each claim: kind, cost, limit, span (microseconds of a part, or seconds to live), name (for a
# rate, how many ms ago was taken what it gives back; for a budget, the least that is used), note (for a budget, "worker
# hold change": what this claim wants to reserve, and by how much what its worker has reserved grows or shrinks).
# KEYS: two for each claim; the second has the notes of a lease, and what workers have reserved of a budget: worker ->
# units, and "t:" and worker -> until when that holds.
# Answer: the number of the claim in the way or 0, then used, retry and reset in ms, and what is reserved, for each;
# retry -1 is never.
# A rate is a hash: part -> units, and n the newest part, s the sum, t the oldest part that may be there.
TAKE: Final = (
    _CLOCK
    + _LEASES
    + _HOLDS
    + f"""
local PARTS = {PERIOD_PARTS + 1}
local AGE_PARTS = {AGE_PARTS}
"""
    + """
local force = ARGV[1] == '1'
local claims = {}

local function look_rate(claim)
  local part = math.floor(now_us / claim.span)
  local held = redis.call('HMGET', claim.key, 'n', 's', 't')
  local newest, sum, oldest = tonumber(held[1]), tonumber(held[2]), tonumber(held[3])
  if newest and newest > part and newest - part <= 2 then part = newest end
  if newest and (part < newest or part - newest >= PARTS) then
    redis.call('DEL', claim.key)
    newest = nil
  end
  if newest then
    for old = oldest, part - PARTS do
      local units = redis.call('HGET', claim.key, old)
      if units then
        sum = sum - tonumber(units)
        redis.call('HDEL', claim.key, old)
      end
    end
    oldest = math.max(oldest, part - PARTS + 1)
    redis.call('HSET', claim.key, 's', whole(sum), 't', oldest)
  end
  claim.part, claim.oldest, claim.used = part, oldest or part, newest and sum or 0
end

local function look_reserved(claim)
  local worker, hold, change = string.match(claim.note, '^(%S+) (%S+) (%S+)$')
  claim.worker, claim.hold, claim.change = worker, tonumber(hold), tonumber(change)
  local flat, units, ends = redis.call('HGETALL', claim.notes), {}, {}
  for index = 1, #flat, 2 do
    local owner = string.match(flat[index], '^t:(.+)$')
    if owner then ends[owner] = tonumber(flat[index + 1]) else units[flat[index]] = tonumber(flat[index + 1]) end
  end
  for owner, held in pairs(units) do
    if (ends[owner] or 0) > now_ms then
      claim.reserved = claim.reserved + held
    else
      redis.call('HDEL', claim.notes, owner, 't:' .. owner)
    end
  end
end

local function look_budget(claim)
  look_reserved(claim)
  claim.held = tonumber(redis.call('GET', claim.key) or '0')
  claim.used = math.max(claim.held, tonumber(claim.name))
end

local function look_lease(claim)
  forget(claim.key, claim.notes)
  claim.used = redis.call('ZCARD', claim.key)
  claim.present = redis.call('ZSCORE', claim.key, claim.name)
end

local function parts_of(claim)
  local parts, age_us = {}, tonumber(claim.name) * 1000
  if age_us <= 0 then
    for part = claim.part, claim.oldest, -1 do parts[#parts + 1] = part end
    return parts
  end
  local at = math.floor((now_us - age_us) / claim.span)
  parts[1] = at
  for step = 1, AGE_PARTS do
    parts[#parts + 1] = at - step
    parts[#parts + 1] = at + step
  end
  return parts
end

local function give_back(claim, units)
  local left = units
  for _, part in ipairs(parts_of(claim)) do
    if part <= claim.part and part >= claim.oldest then
      local held = tonumber(redis.call('HGET', claim.key, part) or '0')
      local taken = math.min(left, held)
      if taken > 0 then redis.call('HINCRBY', claim.key, part, whole(-taken)) end
      left = left - taken
      if left == 0 then break end
    end
  end
  return units - left
end

local function add_rate(claim)
  if claim.cost <= 0 and claim.used == 0 then return end
  if claim.cost > 0 then
    redis.call('HINCRBY', claim.key, claim.part, whole(claim.cost))
  elseif claim.cost < 0 then
    claim.cost = -give_back(claim, -claim.cost)
  end
  claim.used = math.max(0, claim.used + claim.cost)
  redis.call('HSET', claim.key, 'n', claim.part, 's', whole(claim.used), 't', claim.oldest)
  redis.call('PEXPIRE', claim.key, math.ceil(claim.span * (PARTS + 1) / 1000))
end

local function add_budget(claim)
  local there = redis.call('EXISTS', claim.key) == 1
  reserve(claim.notes, claim.worker, claim.change)
  claim.used = math.min(math.max(0, claim.used + claim.cost), 2 ^ 52)
  if claim.used == claim.held then return end
  if there then
    redis.call('SET', claim.key, whole(claim.used), 'KEEPTTL')
  elseif claim.used > 0 then
    redis.call('SET', claim.key, whole(claim.used), 'EX', claim.span)
  end
end

local function add_lease(claim)
  if not claim.present then claim.used = claim.used + 1 end
  enter(claim.key, claim.notes, claim.name, claim.note)
end

local function rate_retry_ms(claim, cost)
  local part_started_us = claim.part * claim.span
  local too_many = claim.used + cost - claim.limit
  local held, units = redis.call('HGETALL', claim.key), {}
  for index = 1, #held, 2 do units[held[index]] = tonumber(held[index + 1]) end
  for part = claim.oldest, claim.part do
    too_many = too_many - (units[whole(part)] or 0)
    if too_many <= 0 then return math.ceil(((part + PARTS) * claim.span - now_us) / 1000) end
  end
  return math.ceil((part_started_us + PARTS * claim.span - now_us) / 1000)
end

local function times(claim, blocked)
  local retry, reset = 0, 0
  local cost = math.max(claim.cost, 1)
  if claim.kind == 'rate' then
    if claim.used > 0 then reset = math.ceil(((claim.part + PARTS) * claim.span - now_us) / 1000) end
    if blocked then retry = cost > claim.limit and -1 or rate_retry_ms(claim, cost) end
  elseif claim.kind == 'budget' then
    local left_ms = redis.call('PTTL', claim.key)
    if claim.used > 0 then reset = left_ms > 0 and left_ms or claim.span * 1000 end
    if blocked then retry = cost > claim.limit and -1 or reset end
  end
  return retry, reset
end

local look = {rate = look_rate, budget = look_budget, lease = look_lease}
local add = {rate = add_rate, budget = add_budget, lease = add_lease}
local refused = 0
for number = 1, (#ARGV - 1) / 6 do
  local at = 2 + (number - 1) * 6
  local claim = {kind = ARGV[at], cost = tonumber(ARGV[at + 1]), limit = tonumber(ARGV[at + 2]),
    span = tonumber(ARGV[at + 3]), name = ARGV[at + 4], note = ARGV[at + 5],
    key = KEYS[2 * number - 1], notes = KEYS[2 * number], hold = 0, reserved = 0}
  look[claim.kind](claim)
  local units = claim.used + math.max(claim.cost, 1)
  if claim.hold > 0 then
    units = claim.used + claim.reserved + claim.cost + claim.hold
    if claim.reserved == 0 and claim.used < claim.limit then units = claim.limit end
  end
  claim.blocked = not force and claim.limit ~= 0 and not claim.present and units > claim.limit
  if claim.blocked and refused == 0 then refused = number end
  claims[number] = claim
end
local answer = {refused}
for _, claim in ipairs(claims) do
  if refused == 0 then add[claim.kind](claim) end
  local retry, reset = times(claim, claim.blocked)
  answer[#answer + 1] = claim.used
  answer[#answer + 1] = retry
  answer[#answer + 1] = reset
  answer[#answer + 1] = claim.reserved
end
return answer
"""
)

# KEYS: places and notes of each lease. ARGV: name, note, name, note…
RENEW: Final = (
    _CLOCK
    + _LEASES
    + """
for index = 1, #ARGV, 2 do enter(KEYS[index], KEYS[index + 1], ARGV[index], ARGV[index + 1]) end
return #ARGV / 2
"""
)

# KEYS: what workers have reserved of each budget. ARGV: the worker, then what it has reserved in truth of each.
HOLD: Final = (
    _CLOCK
    + _LEASES
    + _HOLDS
    + """
for index = 1, #KEYS do keep(KEYS[index], ARGV[1], tonumber(ARGV[index + 1])) end
return #KEYS
"""
)

# KEYS: places and notes of each lease. ARGV: names.
LEAVE: Final = """
for number, name in ipairs(ARGV) do
  redis.call('ZREM', KEYS[2 * number - 1], name)
  redis.call('HDEL', KEYS[2 * number], name)
end
return #ARGV
"""

# KEYS: places and notes of one key. Answer: name, note, name, note…
HERE: Final = (
    _CLOCK
    + _LEASES
    + """
forget(KEYS[1], KEYS[2])
return redis.call('HGETALL', KEYS[2])
"""
)

# KEYS: a ring. ARGV: seconds to live, then notes, oldest first.
APPEND: Final = f"""
for index = 2, #ARGV do redis.call('LPUSH', KEYS[1], ARGV[index]) end
redis.call('LTRIM', KEYS[1], 0, {RING_NOTES_MAX - 1})
return redis.call('EXPIRE', KEYS[1], ARGV[1])
"""

# KEYS: totals. ARGV: seconds to live, then field, amount, field, amount…
ADD: Final = """
for index = 2, #ARGV, 2 do redis.call('HINCRBY', KEYS[1], ARGV[index], ARGV[index + 1]) end
return redis.call('EXPIRE', KEYS[1], ARGV[1])
"""

# KEYS: a value. ARGV: seconds to live, value. Answer: the value that holds.
KEEP: Final = """
local held = redis.call('GET', KEYS[1])
if held then return held end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[1])
return ARGV[2]
"""

# KEYS: values. ARGV: seconds to live, 1 to keep what is there, values. Answer: the values that hold.
PUT_MANY: Final = """
local answer = {}
for number, key in ipairs(KEYS) do
  local held = ARGV[2] == '1' and redis.call('GET', key)
  if held then
    redis.call('EXPIRE', key, ARGV[1])
  else
    held = ARGV[2 + number]
    redis.call('SET', key, held, 'EX', ARGV[1])
  end
  answer[number] = held
end
return answer
"""

# KEYS: values. ARGV: seconds to live from now, or 0. Answer: the values, false where there is none.
GET_MANY: Final = """
local answer = {}
for number, key in ipairs(KEYS) do
  answer[number] = redis.call('GET', key)
  if answer[number] and ARGV[1] ~= '0' then redis.call('EXPIRE', key, ARGV[1]) end
end
return answer
"""

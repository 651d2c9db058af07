-- What rests, for all workers: cooldowns and breakers in one small table. One script, as all its verbs share the
-- table's rules: a version that rises with every change, news of it, a bound, and entries that are forgotten in time.
-- KEYS[1] table (hash: field -> JSON of an entry)   KEYS[2] ends (zset: field -> ms when it is forgotten)
-- KEYS[3] meta (hash: v version, at ms last seen, reset ms)
-- KEYS[4] failures of the target (list; verb fail)   KEYS[5] unreachable connections of the provider (zset; fail)
-- ARGV[1] verb   ARGV[2] JSON of its order (state/rest_table.py says each field; spans in ms)
-- ARGV[3] channel for news   ARGV[4] most entries   ARGV[5] now, unix ms (tests only)
-- Verbs: cool    rest until a set time, never shorter than it rests already      verdict 0 when the table has no room
--        fail    count a failure, open the breaker when there are too many       verdict 1 when it opened
--        probe   claim the one probe of all breakers of a target that are due    verdict 1 granted, 0 not, 2 none is due
--        succeed what was due is closed: a cooldown goes, a breaker ramps        verdict 1
--        release give a probe back that proved nothing                           verdict 1
--        read    the whole table, unless the version is the one known            verdict 1 table, 0 the same
--        merge   entries that a worker made while it was alone: the longer wins  verdict 1
--        reset   forget some entries or all                                      verdict = how many
-- Returns {now, version, verdict, {field, entry, field, entry, ...}}; the last are what changed ("" = gone).
-- Version 0 from `read` means that the server has never seen the table, or was emptied.
local TABLE, ENDS, META = KEYS[1], KEYS[2], KEYS[3]
local verb, order, most = ARGV[1], cjson.decode(ARGV[2]), tonumber(ARGV[4])
local time = redis.call("TIME")
local now = tonumber(ARGV[5]) or (time[1] * 1000 + math.floor(time[2] / 1000))
local MEMORY, SKEW, NEWSWORTHY = 60000, 1000, 100
local known = redis.call("HMGET", META, "v", "at", "reset")
local version, at, reset_at = tonumber(known[1] or 0), tonumber(known[2] or now), tonumber(known[3] or 0)
local before = version
local changes, is_changed, is_quiet = {}, false, true

local function change()
  if not is_changed then
    version = math.max(version + 1, now)
    is_changed = true
  end
end

local function drop(field)
  change()
  redis.call("HDEL", TABLE, field)
  redis.call("ZREM", ENDS, field)
  changes[#changes + 1], changes[#changes + 2] = field, ""
  is_quiet = false
end

local function get(field)
  local text = redis.call("HGET", TABLE, field)
  local entry = text and cjson.decode(text)
  if entry and entry.forget > now then return entry end
end

-- A full table loses what would be over first; a name that a caller made up never pushes anything out.
local function put(field, entry, is_small)
  if redis.call("HEXISTS", TABLE, field) == 0 then
    local size = redis.call("HLEN", TABLE)
    if entry.why == "unknown_model" and size >= most / 2 then return false end
    if size >= most then drop(redis.call("ZRANGE", ENDS, 0, 0)[1]) end
  end
  change()
  entry.v = version
  local text = cjson.encode(entry)
  redis.call("HSET", TABLE, field, text)
  redis.call("ZADD", ENDS, entry.forget, field)
  changes[#changes + 1], changes[#changes + 2] = field, text
  is_quiet = is_quiet and (is_small or false)
  return true
end

-- The server's clock was set back: entries keep the time that was left, as of when the clock was last seen.
if at > now + SKEW then
  local all = redis.call("HGETALL", TABLE)
  change()
  for i = 1, #all, 2 do
    local entry = cjson.decode(all[i + 1])
    for _, name in ipairs({"since", "until", "forget", "probe_until"}) do entry[name] = entry[name] - (at - now) end
    entry.v = version
    redis.call("HSET", TABLE, all[i], cjson.encode(entry))
    redis.call("ZADD", ENDS, entry.forget, all[i])
  end
  reset_at = math.min(reset_at, now)
  redis.call("HSET", META, "reset", reset_at)
  redis.call("HSET", META, "at", now)
elseif now - at > 5000 or not known[2] and verb ~= "read" then
  redis.call("HSET", META, "at", now)
end
for _, field in ipairs(redis.call("ZRANGEBYSCORE", ENDS, "-inf", now, "LIMIT", 0, 100)) do
  redis.call("HDEL", TABLE, field)  -- workers know its end themselves
  redis.call("ZREM", ENDS, field)
end

local function open(field, why, before)
  local level = (before and before.level or 0) + 1
  local span = math.floor(math.min(order.max, order.base * 2 ^ math.min(level - 1, 30)))
  put(field, {state = "open", why = why, since = now, ["until"] = now + span, forget = now + span + order.memory,
    level = level, prober = "", probe_until = 0})
  return now + span
end

local function is_due(entry) return entry.state == "open" and entry["until"] <= now end
local function is_others(entry) return entry.prober ~= "" and entry.probe_until > now and entry.prober ~= order.token end

-- The newest `need` failures, all inside the window: enough when few requests went well between them.
local function count()
  if order.need <= 1 then return true end
  redis.call("LPUSH", KEYS[4], now .. ":" .. order.successes)
  redis.call("LTRIM", KEYS[4], 0, order.need - 1)
  redis.call("PEXPIRE", KEYS[4], order.window)
  local failures, well = redis.call("LRANGE", KEYS[4], 0, -1), 0
  if #failures < order.need then return false end
  for i, failure in ipairs(failures) do
    local when, successes = string.match(failure, "^(%d+):(%d+)$")
    when = tonumber(when)
    if when <= now - order.window or when > now + SKEW or when < reset_at then return false end
    if i < order.need then well = well + tonumber(successes) end
  end
  return order.need >= order.share * (order.need + well)
end

local function note_unreachable(opened_until)
  if order.provider == "" then return end
  local counts_until = opened_until + order.window
  redis.call("ZREMRANGEBYSCORE", KEYS[5], "-inf", now)
  redis.call("ZADD", KEYS[5], counts_until, order.connection)
  redis.call("PEXPIRE", KEYS[5], counts_until - now)
  local provider = get(order.provider)
  if redis.call("ZCARD", KEYS[5]) >= order.connections and not (provider and provider.state == "open") then
    open(order.provider, order.why, provider)
  end
end

local verbs = {}

function verbs.cool()
  local entry = get(order.field)
  local rests = entry and entry["until"] > now
  local level, span = entry and entry.level or 0, order.exact
  if span <= 0 then
    if rests then return 1 end  -- requests that were under way together are one cause
    span = math.floor(math.min(order.max, order.base * 2 ^ math.min(level, 30)) * (1 - order.jitter / 2))
    level = level + order.step
  end
  if rests and entry["until"] >= now + span then return 1 end
  local is_kept = put(order.field, {state = "cooling", why = order.why, since = now, ["until"] = now + span, level = level,
    forget = now + span + (level > 0 and math.max(span, MEMORY) or 0), prober = "", probe_until = 0},
    rests and entry["until"] + NEWSWORTHY > now + span)
  return is_kept and 1 or 0
end

function verbs.fail()
  local entry, opened = get(order.field), 0
  if entry and entry.state == "open" and entry["until"] > now then
    if order.need <= 1 and entry.why ~= order.why and now + order.base > entry["until"] then
      opened = open(order.field, order.why)  -- another, longer cause
    end
  elseif entry and is_due(entry) then
    if not is_others(entry) then opened = open(order.field, order.why, entry) end
  elseif count() then
    redis.call("DEL", KEYS[4])
    opened = open(order.field, order.why, entry)
  end
  if order.provider ~= "" then
    local provider = get(order.provider)
    if provider and is_due(provider) and not is_others(provider) then
      opened = open(order.provider, order.why, provider)
    elseif opened > 0 then
      note_unreachable(opened)
    end
  end
  return opened > 0 and 1 or 0
end

function verbs.probe()
  local due, granted = {}, 1
  for _, field in ipairs(order.fields) do
    local entry = get(field)
    if entry and entry.state ~= "ramping" then
      if not is_due(entry) or is_others(entry) then
        granted = 0
        changes[#changes + 1], changes[#changes + 2] = field, cjson.encode(entry)
      end
      due[#due + 1] = {field, entry}
    end
  end
  if granted == 0 then return 0 end
  for _, pair in ipairs(due) do
    local entry = pair[2]
    entry.prober, entry.probe_until = order.token, now + order.lifetime
    entry.forget = math.max(entry.forget, entry.probe_until + MEMORY)
    put(pair[1], entry)
  end
  return #due > 0 and 1 or 2
end

function verbs.succeed()
  for _, field in ipairs(order.fields) do
    local entry = get(field)
    if entry and entry["until"] <= now then
      if entry.state == "cooling" or entry.state == "open" and order.ramp <= 0 then drop(field)
      elseif entry.state == "open" then
        entry.state, entry.since, entry["until"] = "ramping", now, now + order.ramp
        entry.forget, entry.prober, entry.probe_until = now + order.ramp + order.memory, "", 0
        put(field, entry)
      end
    end
  end
  return 1
end

function verbs.release()
  for _, field in ipairs(order.fields) do
    local entry = get(field)
    if entry and entry.prober == order.token then
      entry.prober, entry.probe_until = "", 0
      put(field, entry)
    end
  end
  return 1
end

function verbs.read()
  if version ~= 0 and version == order.known then return 0 end
  changes = redis.call("HGETALL", TABLE)
  return 1
end

function verbs.merge()
  for _, pair in ipairs(order.entries) do
    local field, entry = pair[1], pair[2]
    for _, name in ipairs({"since", "until", "forget"}) do entry[name] = now + entry[name] end
    local mine = get(field)
    if not mine or mine["until"] < entry["until"] then put(field, entry) end
  end
  if version == 0 then change() end
  return 1
end

function verbs.reset()
  local gone = 0
  if order.all then
    gone = redis.call("HLEN", TABLE)
    redis.call("DEL", TABLE, ENDS)
    change()
    is_quiet = false
  else
    for _, field in ipairs(redis.call("HKEYS", TABLE)) do
      for _, id in ipairs(order.ids) do
        local rest = string.sub(field, 2)
        if rest == id or string.sub(rest, 1, #id + 1) == id .. "\0" and id ~= "" then
          drop(field)
          gone = gone + 1
          break
        end
      end
    end
  end
  redis.call("HSET", META, "reset", now)
  return gone
end

local verdict = verbs[verb]()
if is_changed then
  redis.call("HSET", META, "v", version)
  if not is_quiet then
    redis.call("PUBLISH", ARGV[3], "rest:" .. cjson.encode({now = now, v = version, before = before, all = order.all or false,
      changes = #changes > 0 and verb ~= "read" and changes or nil}))
  end
end
return {now, version, verdict, changes}

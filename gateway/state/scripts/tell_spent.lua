-- Say what one worker's requests have cost on tiers with a budget, and ask what those of all workers have.
-- KEYS: a counter each (hash: spent -> nano-dollars of all, w:<worker> -> "what it told in all, unix second of telling")
-- ARGV[1] worker   then four for each counter: nano-dollars of this worker in all   what of them it has told before
-- what it knows to be spent by all   lifetime of the counter, s, 0 = for ever
-- Returns what is spent, a number in text for each counter.
-- A worker tells sums, never changes, so telling twice counts once. A server that was emptied is told by each worker
-- what it knew of all, of which the largest counts; what the worker has not told before is added to it.
local now = tonumber(redis.call("TIME")[1])
local MOST_WORKERS, FORGOTTEN_S = 1000, 3600
local mine = "w:" .. ARGV[1]

-- Workers that have told nothing new for long: they would tell it as on a server that was emptied.
local function forget_old(name)
  local all = redis.call("HGETALL", name)
  for i = 1, #all, 2 do
    local second = string.match(all[i + 1], " (%d+)$")
    if second and tonumber(second) < now - FORGOTTEN_S then redis.call("HDEL", name, all[i]) end
  end
end

local answers = {}
for i, name in ipairs(KEYS) do
  local at = 4 * i - 2
  local own, told, known, lifetime = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), ARGV[at + 3]
  local state = redis.call("HMGET", name, "spent", mine)
  local spent = tonumber(state[1] or "0")
  local before = state[2] and tonumber(string.match(state[2], "^%d+"))
  if not state[1] or (not before and told > 0) then
    spent = math.max(spent, known)
    before = before or told
  end
  local change = math.max(0, own - (before or 0))
  if change > 0 or (own > 0 and not state[2]) or tostring(state[1]) ~= string.format("%.0f", spent) then
    spent = spent + change
    redis.call("HSET", name, "spent", string.format("%.0f", spent))
    if own > 0 then redis.call("HSET", name, mine, string.format("%.0f %d", math.max(own, before or 0), now)) end
    if lifetime ~= "0" then redis.call("EXPIRE", name, lifetime) end
    if redis.call("HLEN", name) > MOST_WORKERS then forget_old(name) end
  end
  answers[i] = string.format("%.0f", spent)
end
return answers

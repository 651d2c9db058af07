-- Bring what keys have spent of their budgets up to what the ledger says, on a server that lost it or never knew.
-- KEYS the keys' money in this period (`take.lua` says their shape)
-- ARGV two for each: nano-dollars that the ledger has   lifetime of the counter, s, 0 = for ever
-- Never lowers anything, so telling twice, or late, changes nothing. Returns how many were raised.
local call = redis.call
local raised = 0
for i, name in ipairs(KEYS) do
  local amount, lifetime = ARGV[2 * i - 1], ARGV[2 * i]
  if tonumber(amount) > tonumber(call("HGET", name, "spent") or 0) then
    call("HSET", name, "spent", amount)
    if lifetime ~= "0" then call("EXPIRE", name, lifetime) end
    raised = raised + 1
  end
end
return raised

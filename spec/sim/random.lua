--- Random numbers from a seed, the same on every interpreter.

local M = {}

local Random = {}
Random.__index = Random

local MODULUS, FACTOR = 2147483647, 48271

---@param seed integer
function M.new(seed)
  local self = setmetatable({ state = (seed * 69621 + 12345) % (MODULUS - 1) + 1 }, Random)
  for _ = 1, 8 do self:number() end
  return self
end

--- Within [0, 1).
function Random:number()
  self.state = (self.state * FACTOR) % MODULUS
  return (self.state - 1) / (MODULUS - 1)
end

--- Within [low, high).
function Random:between(low, high)
  return low + (high - low) * self:number()
end

--- A whole number from 1 to n.
function Random:integer(n)
  return math.floor(self:number() * n) + 1
end

--- True with probability p.
function Random:chance(p)
  return p > 0 and self:number() < p
end

--- One element of a list.
function Random:pick(list)
  return list[self:integer(#list)]
end

--- One of { value, weight, value, weight, ... }.
function Random:weighted(list)
  local sum = 0
  for i = 2, #list, 2 do sum = sum + list[i] end
  local at = self:number() * sum
  for i = 2, #list, 2 do
    at = at - list[i]
    if at < 0 then return list[i - 1] end
  end
  return list[#list - 1]
end

return M

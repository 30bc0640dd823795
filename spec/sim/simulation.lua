--- One run from one seed, and many of them.

local rotators = require "spec.sim.rotators"
local variants = require "spec.sim.variants"
local world = require "spec.sim.world"

local M = {}

--- The profile in which wall clocks jump.
M.JUMPS = { jumps = 0.03, freeze_kind = "stop" }

--- Runs one seed.
---@param seed integer
---@param options? { variant: string|nil, trace: boolean|nil, profile: table|nil, script: function|nil }
---@return { seed: integer, problems: table[], lines: string[]|nil, sends: integer, crashes: integer }
function M.one(seed, options)
  options = options or {}
  local undo = options.variant and variants.apply(options.variant)
  local restore = rotators.install()
  local ok, result = pcall(function()
    local w = world.new(seed, { trace = options.trace, profile = options.profile })
    rotators.use(w)
    local ok, problem = pcall(function()
      rotators.prepare(w)
      rotators.run(w)
      rotators.finish(w)
    end)
    if not ok then w.check:wrong("end", "%s", tostring(problem)) end
    return {
      seed = seed, problems = w.check.problems, lines = w.lines, sends = w.check.counts.sends, profile = w.profile,
      crashes = w.crashes or 0, events = w.scheduler.events, seconds = w.scheduler.now, world = w,
    }
  end)
  restore()
  if undo then undo() end
  if not ok then error(result, 0) end
  return result
end

--- Runs many seeds in a row.
function M.many(from, count, options)
  local totals = { runs = 0, wrong = 0, ends = 0, sends = 0, crashes = 0, events = 0, by_id = {}, first = {}, from = from }
  for seed = from, from + count - 1 do
    local result = M.one(seed, options)
    totals.runs = totals.runs + 1
    totals.sends = totals.sends + result.sends
    totals.crashes = totals.crashes + result.crashes
    totals.events = totals.events + result.events
    if #result.problems > 0 then
      totals.wrong = totals.wrong + 1
      local seen, lost = {}, false
      for _, problem in ipairs(result.problems) do
        lost = lost or problem.id == "end" or problem.id == "consumers"
        if not seen[problem.id] then
          seen[problem.id] = true
          totals.by_id[problem.id] = (totals.by_id[problem.id] or 0) + 1
        end
      end
      if lost then totals.ends = totals.ends + 1 end
      if #totals.first < 12 then
        result.world = nil
        totals.first[#totals.first + 1] = result
      end
    end
  end
  return totals
end

local function sorted(t)
  local keys = {}
  for k in pairs(t) do keys[#keys + 1] = k end
  table.sort(keys)
  return keys
end

function M.describe(result)
  local lines = {}
  local drawn = {}
  for _, k in ipairs(sorted(result.profile)) do
    if type(result.profile[k]) ~= "table" then drawn[#drawn + 1] = k .. "=" .. tostring(result.profile[k]) end
  end
  lines[1] = ("seed %d: %d wrong; %s"):format(result.seed, #result.problems, table.concat(drawn, " "))
  for i, problem in ipairs(result.problems) do
    if i > 4 then break end
    lines[#lines + 1] = ("  at %.3f s %s: %s"):format(problem.time, problem.id, problem.text)
  end
  return table.concat(lines, "\n")
end

function M.summary(totals, variant)
  local parts = {}
  for _, id in ipairs(sorted(totals.by_id)) do parts[#parts + 1] = id .. " " .. totals.by_id[id] end
  return ("%-20s %5d runs (seeds %d to %d), %d sends, %d kills: %d wrong ends, %d runs break a rule%s"):format(
    variant or "the engine", totals.runs, totals.from, totals.from + totals.runs - 1, totals.sends, totals.crashes,
    totals.ends, totals.wrong, #parts > 0 and " (" .. table.concat(parts, ", ") .. ")" or "")
end

return M

--- Runs the simulation. Exits 0 when no run ended wrongly, or, with --variant all, when
--- every wrong engine was found.
--   lua5.4 spec/sim/run.lua [--runs N] [--from SEED] [--variant NAME|all] [--jumps]
--   lua5.4 spec/sim/run.lua --seed N [--trace] [--variant NAME] [--jumps]
-- With --jumps the wall clocks of the machines jump at any moment, back and ahead, by an hour and by 400 days.

local simulation = require "spec.sim.simulation"
local variants = require "spec.sim.variants"

local options = { runs = 1000, from = 1 }
local i = 1
while arg[i] do
  local name = arg[i]:match "^%-%-(%w+)$"
  if name == "trace" or name == "jumps" then
    options[name] = true
  elseif name == "runs" or name == "from" or name == "seed" then
    i = i + 1
    options[name] = assert(math.tointeger and math.tointeger(tonumber(arg[i])) or tonumber(arg[i]), "--" .. name .. " takes a number")
  elseif name == "variant" then
    i = i + 1
    options.variant = arg[i]
  else
    io.stderr:write("usage: run.lua [--runs N] [--from SEED] [--seed N [--trace]] [--variant NAME|all] [--jumps]\n")
    os.exit(2)
  end
  i = i + 1
end

local profile = options.jumps and simulation.JUMPS or nil

if options.seed then
  local result = simulation.one(options.seed, { variant = options.variant, trace = options.trace, profile = profile })
  if result.lines then print(table.concat(result.lines, "\n")) end
  print(simulation.describe(result))
  os.exit(#result.problems == 0)
end

local function series(variant)
  local clock = os.clock()
  local totals = simulation.many(options.from, options.runs, { variant = variant, profile = profile })
  print(simulation.summary(totals, variant) .. (" (%.1f s)"):format(os.clock() - clock))
  return totals
end

if options.variant == "all" then
  local missed = 0
  for _, variant in ipairs(variants.list) do
    if series(variant.name).wrong == 0 and not variant.rare then
      missed = missed + 1
      print(("NOT FOUND: an engine in which %s"):format(variant.what))
    end
  end
  os.exit(missed == 0)
else
  local totals = series(options.variant)
  for _, result in ipairs(totals.first) do print(simulation.describe(result)) end
  os.exit(totals.wrong == 0)
end

--- Kills every workflow at every boundary, lets every call of the store fail, and kills a rotation of many users at
--- random; prints figures. One interpreter recovers by `resume`, the other by the same call again, so that both ways are
--- taken at each boundary. spec/torture/run starts both.

local cases = require "spec.support.crash.cases"
local core = require "crdbcloud.core"
local crash = require "spec.support.crash.sweep"
local faults = require "spec.support.crash.faults"
local kill_many = require "spec.support.crash.many"
local pair_cases = require "spec.support.crash.pair_cases"
local sandbox = require "spec.support.sandbox"
local scene = require "spec.support.scene"
local sql_store = require "spec.support.stores.sql_store"
local temp = require "spec.support.temp"

local JIT = rawget(_G, "jit") ~= nil
local LABEL = JIT and "luajit" or "lua5.4"
local WAY = JIT and "again" or "resume"
local ENOSPC, EIO, ECONNRESET = 28, 5, 104

local only = os.getenv "TORTURE" -- names of parts, to repeat one
local total = { kills = 0, faults = 0, wrong = 0 }

local function say(text, ...)
  io.stdout:write(("%-7s "):format(LABEL), text:format(...), "\n")
  io.stdout:flush()
end

local function part(name, run)
  if only and not (" " .. only .. " "):find(" " .. name .. " ", 1, true) then return end
  local sc = scene.open()
  local started = core.monotonic()
  local wrong, text = run(sc)
  total.wrong = total.wrong + #wrong
  say("%-26s %s, %d wrong ends, %.0f s", name, text, #wrong, core.monotonic() - started)
  for i, problem in ipairs(wrong) do
    if i <= 3 then say("WRONG %s", problem) end
  end
  sc:close()
  temp.clean()
end

local function kills(name, kind, options)
  part(name, function(sc)
    local case = (options.cases or cases)[kind](sc)
    options.cases = nil
    if #case.recoveries > 1 then case.recoveries = { WAY } end
    local figures = crash.sweep(case, options)
    total.kills = total.kills + figures.kills
    return figures.wrong, ("%d boundaries, %d kills"):format(figures.boundaries, figures.kills)
  end)
end

local function failures(name, kind, options)
  part(name, function(sc)
    if options.api then options.path, options.api = crash.api(sc), nil end
    local figures = faults.sweep(cases[kind](sc), options)
    total.faults = total.faults + figures.faults
    return figures.wrong, ("%d calls failed, %d runs ended with an error"):format(figures.faults, figures.failed)
  end)
end

-- Half a write or send is a boundary of its own; a kill after a call is one before the next.
local BYTES = "write,pwrite,send,sendmsg,sendto,writev"
-- What concerns one interpreter as much as the other is shared between them.
local FIRST, STEP = JIT and 2 or 1, 2

kills("rotation", "rotation", {})
kills("rotation-half", "rotation", { how = "half", only = BYTES })
kills("first-rotation", "first_rotation", {})
kills("creation", "creation", {})
kills("creation-half", "creation", { how = "half", only = BYTES })
kills("adoption", "adoption", {})
kills("publication", "publication", {})
kills("publication-half", "publication", { how = "half", only = BYTES })
kills("recovery", "recovery", { first = FIRST, step = STEP })
kills("removal", "removal", { only = "openat,renameat,unlinkat,fsync,send,connect" })
kills("access", "access", { only = "openat,renameat,unlinkat,fsync,send,connect" })
kills("access-unmanaged", "access_unmanaged", { only = "openat,renameat,unlinkat,fsync,send,connect", first = FIRST, step = STEP })
for _, kind in ipairs { "turn", "first_turn", "creation", "emergency" } do
  kills("pair-" .. kind:gsub("_", "-"), kind, {
    cases = pair_cases, only = "openat,renameat,fsync,send,connect", mark = kind == "creation" and "create" or "turn", first = FIRST, step = STEP,
  })
end
part("rotation-sql-store", function()
  local sc = scene.open()
  local place = sql_store.new()
  sc.cluster = sc:handle { cluster = { store = place:url(), plaintext = true } }
  local case = cases.in_sql(sc, place)
  case.recoveries = { WAY }
  local figures = crash.sweep(case, {})
  total.kills = total.kills + figures.kills
  sc:close()
  place:close()
  return figures.wrong, ("%d boundaries, %d kills"):format(figures.boundaries, figures.kills)
end)
failures("store-fails", "rotation", { how = JIT and EIO or ENOSPC, path = "/store", store = true })
failures("store-fails-for-good", "rotation", { how = JIT and ENOSPC or EIO, last = "all", path = "/store", store = true })
failures("creation-store-fails", "creation", { how = JIT and EIO or ENOSPC, path = "/store", store = true })
failures("creation-store-fails-for-good", "creation", { how = JIT and ENOSPC or EIO, last = "all", path = "/store", store = true })
failures("sinks-fail", "rotation", { how = ENOSPC, path = "/sinks" })
failures("api-resets", "rotation", { how = ECONNRESET, api = true, only = "send,recv", mark = "rotate_password" })
failures("creation-api-resets", "creation", { how = ECONNRESET, api = true, only = "send,recv", mark = "create_app_user" })
part("many-users", function()
  local options = { users = 200, kills = 40, seed = tonumber(os.getenv "TORTURE_SEED" or os.time() % 1000000) }
  local figures = kill_many.run(options)
  total.kills = total.kills + figures.kills
  return figures.problems, kill_many.text(figures, options)
end)

sandbox.shared():stop()
say("%d kills, %d failed calls, %d wrong ends", total.kills, total.faults, total.wrong)
os.exit(total.wrong == 0 and total.kills + total.faults > 0 and 0 or 1, true)

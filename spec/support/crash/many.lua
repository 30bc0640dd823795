--- One rotation of many users, killed at random boundaries and taken up again each time. A seed gives the same kills
--- again.

local checks = require "spec.support.crash.checks"
local core = require "crdbcloud.core"
local crash = require "spec.support.crash.sweep"
local record = require "crdbcloud.record"
local sandbox = require "spec.support.sandbox"
local scene = require "spec.support.scene"
local temp = require "spec.support.temp"

local M = {}

local START, EACH = 40, 50 -- boundaries of a run before the first user, and of one user, about

-- Lehmer's generator: the same numbers under every Lua, from 1 to n.
local function numbers(seed)
  local state = seed % 2147483646 + 1
  return function(n)
    state = state * 16807 % 2147483647
    return state % n + 1
  end
end

-- Every password that the store ever had, by user and epoch; two for one epoch are a problem.
local function remember(problems, scene_of, known)
  local store = assert(scene_of.cluster:open_store "spec")
  for _, key in ipairs(assert(store:list(scene_of.id .. "/"))) do
    local rec, err = store:get(key)
    if not rec then
      checks.add(problems, "%s: %s", key, tostring(err))
    else
      for _, name in ipairs { "current", "staged", "previous" } do
        local holder = rec[name]
        if holder then
          local id = ("%s/%d"):format(rec.user, holder.epoch)
          local old = known[id]
          if old and not old.password:equals(holder.password) then checks.add(problems, "%s: two passwords for one epoch", id) end
          known[id] = old or { user = rec.user, password = holder.password }
        end
      end
    end
  end
end

-- Each request had a password that the store had for that user, and each epoch one password.
local function compare(problems, scene_of, known)
  local by_hash, puts = {}, 0
  for id, entry in pairs(known) do
    by_hash[checks.hash({ scene = scene_of }, entry.password)] = { id = id, user = entry.user }
  end
  for _, request in ipairs(scene_of:requests(checks.PUT)) do
    local found = by_hash[request.password_hash or ""]
    puts = puts + 1
    if not request.password_hash then
      -- The client was killed before the body was out: nothing came.
      puts = puts - 1
    elseif not found then
      checks.add(problems, "%s: a password was sent that the store never had", request.user)
    elseif found.user ~= request.user then
      checks.add(problems, "%s was sent the password of %s", request.user, found.user)
    end
  end
  return puts
end

--- Runs it on a sandbox of its own.
---@param options { users: integer, kills: integer, seed: integer }
---@return table figures { kills, runs, users, puts, seconds, problems = { text … } }
function M.run(options)
  local own = sandbox.start { users = options.users, rate = 0 }
  local sc = scene.open({ rate = 0 }, own)
  local random, problems, known = numbers(options.seed), {}, {}
  local figures = { kills = 0, runs = 0, users = options.users, problems = problems, started = core.monotonic() }
  -- What a scheduled job does: what a crash left first, then those that are due.
  local job = { calls = { { "resume" }, { "rotate_passwords", { users = "all", max_age = "1h" } } } }
  local span = START + 2 * EACH * math.floor(options.users / options.kills)
  while figures.kills < options.kills do
    local run = crash.run(sc, job, { at = random(span) })
    figures.runs = figures.runs + 1
    remember(problems, sc, known)
    if not run.killed then
      if run.code ~= 0 then checks.add(problems, "exit %d: %s", run.code, run.out) end
      break -- all users are done
    end
    figures.kills = figures.kills + 1
  end
  local last = crash.run(sc, job)
  if last.code ~= 0 then checks.add(problems, "the last run ended with %d: %s", last.code, last.out) end
  remember(problems, sc, known)
  for user in pairs(own:passwords()) do
    local rec, err = sc:record(user)
    if not rec then
      checks.add(problems, "%s has no record: %s", user, tostring(err))
    elseif rec.state ~= "idle" or record.is_open(rec) then
      checks.add(problems, "%s is %s", user, rec.state)
    elseif sc:login(user, rec.current.password) ~= "accepted" then
      checks.add(problems, "%s: the stored password does not log in", user)
    end
  end
  figures.puts = compare(problems, sc, known)
  checks.tidy(problems, { sc.dir .. "/store" })
  figures.seconds = core.monotonic() - figures.started
  sc:close()
  temp.clean()
  own:stop()
  return figures
end

--- One line about it, with the seed that repeats it.
function M.text(figures, options)
  return ("%d users, %d kills in %d runs, %d requests, seed %d, %.1f s: %d wrong%s"):format(figures.users, figures.kills, figures.runs,
    figures.puts, options.seed, figures.seconds, #figures.problems, figures.problems[1] and "; the first: " .. figures.problems[1] or "")
end

return M

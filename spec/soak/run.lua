-- `make soak`: SOAK_SECONDS (450) with SOAK_USERS (200), the protocol's clocks at their full length unless
-- SOAK_CLOCKS=short. Prints what happened and what was found; ends with 1 when anything is wrong.

local sandbox = require "spec.support.sandbox"
local soak = require "spec.soak.soak"
local sql_store = require "spec.support.stores.sql_store"
local temp = require "spec.support.temp"

local function number(name, default) return tonumber(os.getenv(name) or "") or default end

local function say(text)
  io.stdout:write(text, "\n")
  io.stdout:flush()
end

local users, seconds, seed = number("SOAK_USERS", 200), number("SOAK_SECONDS", 450), number("SOAK_SEED", os.time() % 100000 + 1)
say(("two rotators, %d users, %d s, seed %d"):format(users, seconds, seed))
local s = sandbox.start { users = users, rate = 0 }
local place = sql_store.new { sandbox = s }
local result = soak.run {
  sandbox = s, place = place, seconds = seconds, least = number("SOAK_LEAST", 0), seed = seed, say = say,
  clocks = os.getenv "SOAK_CLOCKS" == "short" and { freeze = 7, rarely = 3, slack = 1.5, settle = 3, lease = 3 } or { freeze = 65, rarely = 12 },
}
local count, found = result.count, result.found
local rotated, other = 0, {}
for _, output in ipairs(found.outputs) do
  for line in output:gmatch "[^\n]+" do
    local what = line:match "^%S+ (%S+)"
    if what == "done" then rotated = rotated + 1 elseif what then other[what] = (other[what] or 0) + 1 end
  end
end
local parts = {}
for what, n in pairs(other) do parts[#parts + 1] = ("%s %d"):format(what, n) end
table.sort(parts)
say(("rotators: %d started, %d killed, %d freezes, %d ended by themselves"):format(count.started, count.killed, count.frozen, count.died))
say(("service: %d faults ordered, %d changes applied"):format(count.faults, found.sent))
say(("rotations: %d done; %s"):format(rotated, table.concat(parts, ", ")))
say(("records: %d users, %d epochs, %d open%s"):format(found.users, found.epochs, found.open,
  found.unfinished and " (" .. found.unfinished .. ")" or ""))
say(("epochs with two passwords: %d; passwords out of order: %d"):format(found.two_passwords, found.disorder))
say(("%d lost passwords"):format(found.lost))
place:close()
s:stop()
temp.clean()
if count.died > 0 then say(table.concat(found.outputs, "\n")) end
local wrong = found.lost + found.open + found.two_passwords + found.disorder + count.died
os.exit(wrong == 0 and found.users > 0 and 0 or 1)

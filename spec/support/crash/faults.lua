--- Lets the calls of a workflow fail one after the other (no space, input/output error, a reset connection) and checks
--- that the run says truly what became of the user, that nothing is sent after a failed write, and that a later resume
--- ends well.

local cjson = require "cjson"
local checks = require "spec.support.crash.checks"
local crash = require "spec.support.crash.sweep"

local M = {}

-- Exit codes that promise that nothing was changed.
local NOTHING = { [1] = true, [2] = true, [4] = true, [7] = true }

-- The error that the job printed, or an empty table.
local function error_of(run)
  for line in run.out:gmatch("[^\n]+") do
    local ok, err = pcall(cjson.decode, line)
    if ok and type(err) == "table" and err.kind then return err end
  end
  return {}
end

-- Changes asked of the API before the line of the failed call: the first bytes after a mark that says so.
local function writes_before(trace, n, api)
  local writes, about_to = 0, false
  for _, line in ipairs(trace.lines) do
    if line:match("^" .. n .. " ") then return writes, line:match("^%d+ (%a+)") end
    if line == "# send" or line == "# create" then about_to = true end
    if about_to and line:match("send (.*)$") == api then
      writes, about_to = writes + 1, false
    end
  end
end

-- The line of a numbered call.
local function ordinal(trace, n)
  for _, line in ipairs(trace.lines) do
    if line:match("^" .. n .. " ") then return line end
  end
end

-- What the run said, against what the server knows.
local function told_truly(problems, case, run, err)
  local requests, applied = 0, 0
  for _, op in ipairs { checks.POST, checks.PUT } do
    for _, entry in ipairs(checks.requests(case, op)) do
      requests = requests + 1
      if entry.applied then applied = applied + 1 end
    end
  end
  if run.code ~= 0 and not err.kind then checks.add(problems, "exit %d without an error", run.code) end
  if NOTHING[run.code] then
    if applied > 0 then checks.add(problems, "exit %d says that nothing was changed, and %d changes were applied", run.code, applied) end
    if err.outcome ~= "not_sent" and err.outcome ~= "rejected" then checks.add(problems, "exit %d with outcome %s", run.code, tostring(err.outcome)) end
    if err.outcome == "not_sent" and requests > 0 then checks.add(problems, "not_sent, and %d requests came", requests) end
  elseif (run.code == 3 or run.code == 6) and applied == 0 then
    checks.add(problems, "exit %d says that something was changed, and nothing was", run.code)
  elseif run.code == 70 or run.code > 128 then
    checks.add(problems, "exit %d", run.code)
  end
  return requests
end

--- Lets call after call fail.
---@param case table of spec.support.crash.cases
---@param options table { how = errno or "short", last, only, path, mark, first, step, stop, store = true when the calls are the store's }
---@return table figures { faults, failed = runs that ended with an error, wrong = { text … } }
function M.sweep(case, options)
  local figures = { faults = 0, failed = 0, wrong = {} }
  local n = options.first or 1
  while not options.stop or n <= options.stop do
    case:prepare(n)
    local run = crash.run(case.scene, case:job(), {
      at = n, how = options.how, last = options.last, only = options.only, path = options.path, mark = options.mark,
    })
    if run.trace.calls < n then break end
    local problems, err = {}, error_of(run)
    case.log = case.scene.sandbox:log()
    local requests = told_truly(problems, case, run, err)
    local before, call = writes_before(run.trace, n, crash.api(case.scene))
    if options.store and run.code ~= 0 then
      if err.kind ~= "store" then checks.add(problems, "kind %s", tostring(err.kind)) end
      if requests ~= before then checks.add(problems, "%d changes were sent, %d of them before the failed %s", requests, before, call) end
    end
    checks.record(problems, case)
    figures.faults = figures.faults + 1
    if run.code ~= 0 then figures.failed = figures.failed + 1 end
    local again = run.code ~= 0 and crash.run(case.scene, case:recovery "resume")
    for _, problem in ipairs(case:at_end(again or run, again and "resume")) do problems[#problems + 1] = problem end
    if #problems > 0 then
      figures.wrong[#figures.wrong + 1] = ("%s, %s %s: %s\n%s%s"):format(case.name, tostring(options.how), ordinal(run.trace, n),
        table.concat(problems, "; "), run.out, again and "\n-- resume\n" .. again.out or "")
    end
    n = n + (options.step or 1)
  end
  case:finish()
  return figures
end

return M

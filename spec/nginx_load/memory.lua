--- A worker under a memory checker, in nginx's single process mode: a thousand calls of all kinds, then a clean end.

local core = require "crdbcloud.core"
local load = require "spec.nginx_load.load"
local mixed = require "spec.nginx_load.mixed"
local nginx = require "spec.support.servers.nginx"
local sandbox = require "spec.support.sandbox"
local scenes = require "spec.support.scene"
local temp = require "spec.support.temp"

local M = {}

local SUPPRESSIONS = "spec/nginx_load/valgrind.supp"

-- The words before nginx, the modules it loads, and how a complaint begins. Fields: log, root.
M.TOOLS = {
  valgrind = {
    words = "valgrind --leak-check=full --errors-for-leak-kinds=definite --show-leak-kinds=definite --num-callers=30"
      .. " --suppressions=%(root)/" .. SUPPRESSIONS .. " --log-file=%(log)",
    build = "build",
  },
  asan = {
    -- Leaks are valgrind's business: LuaJIT's own allocator hides its pointers from this one.
    words = "env LD_PRELOAD=%(libasan) ASAN_OPTIONS=detect_leaks=0:verify_asan_link_order=0:log_path=%(log)"
      .. " UBSAN_OPTIONS=print_stacktrace=1:log_path=%(log)",
    build = "build/asan",
  },
}

local function fill(text, fields) return (text:gsub("%%%(([%a_]+)%)", fields)) end

-- What the checker has written.
local function findings(tool, dir)
  local text = temp.run(("cat %s/checker* 2>/dev/null"):format(dir))
  if tool == "asan" then return text:match "%S" and 1 or 0, 0, text end
  local errors = tonumber(text:match "ERROR SUMMARY: ([%d,]+) errors" and (text:match "ERROR SUMMARY: ([%d,]+) errors":gsub(",", "")))
  local lost = text:match "definitely lost: ([%d,]+) bytes" or text:find "no leaks are possible" and "0"
  return errors or -1, lost and tonumber((lost:gsub(",", ""))) or -1, text
end

--- Runs it.
---@param options { tool: "valgrind"|"asan", calls: integer }
---@return table figures
function M.run(options)
  local tool = M.TOOLS[options.tool]
  return load.guarded(function(keep)
    local s = sandbox.start { users = 2, rate = 0 }
    keep(function() s:stop() end)
    local scene = scenes.open(nil, s)
    keep(function() scene:close() end)
    local dir, root = temp.dir(), (temp.run "pwd":gsub("%s+$", ""))
    local words = fill(tool.words, {
      root = root, log = dir .. "/checker", libasan = temp.run "gcc -print-file-name=libasan.so":gsub("%s+$", ""),
    })
    local started = core.monotonic()
    local web = nginx.start {
      main = "master_process off;", http = "access_log off; lua_shared_dict credentials 1m;",
      init = load.account(s, "max_calls = 4, max_wait = '120s'", scene) .. "\n" .. mixed.PERFORM,
      locations = { ["/call"] = mixed.ANSWER }, pool = "thread_pool crdbcloud threads=4;", wrapper = words,
      cpath = ("%s/%s/5.1/?.so"):format(root, tool.build),
    }
    keep(function() web:stop "QUIT" end)
    local figures = mixed.new(options.calls, 0)
    figures.tool = options.tool
    local list = mixed.paths(options.calls, 4)
    for i = 0, 3 do
      assert(scene.cluster:create_app_user {
        name = "rotated_" .. i, access = { database = "shop", tables = { "orders" }, privileges = { "SELECT" } },
      })
    end
    for i = 0, 3 do mixed.send(web, { { op = "rotate", user = "rotated_" .. i } }, 1) end
    figures.faults = mixed.strew(s, math.random, options.calls)
    mixed.send(web, list, 4)
    mixed.count(figures, list)
    web:stop "QUIT"
    figures.seconds = core.monotonic() - started
    figures.found, figures.lost_bytes, figures.report = findings(options.tool, dir)
    figures.log = web:errors()
    return figures
  end)
end

--- What is wrong with the figures; nil when everything holds.
---@return string|nil
function M.problem(figures)
  if figures.unanswered + figures.raised > 0 then return "a call was not answered: " .. figures.first end
  if figures.errors > 3 * figures.faults then return ("%d errors of %d faults"):format(figures.errors, figures.faults) end
  if figures.found ~= 0 or figures.lost_bytes ~= 0 then return ("%s complains:\n%s"):format(figures.tool, figures.report:sub(1, 6000)) end
  if #figures.log > 0 then return "nginx wrote: " .. figures.log[1] end
  return nil
end

--- The figures for people.
---@return string
function M.text(figures)
  return ("%d calls in one process under %s in %.0f s: as expected %d, explained by %d faults %d, unanswered %d; complaints %d, bytes lost %d"):format(
    figures.calls, figures.tool, figures.seconds, figures.as_expected, figures.faults, figures.errors, figures.unanswered + figures.raised,
    figures.found, figures.lost_bytes)
end

return M

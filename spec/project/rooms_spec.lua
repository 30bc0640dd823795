local rooms = require "spec.support.lint.rooms"
local temp = require "spec.support.temp"

-- A tree of its own for each case: { ["lua/crdbcloud/run/batch.lua"] = TEXT }.
local function check(files)
  local root = temp.dir()
  for path, text in pairs(files) do
    assert.are.equal(0, select(2, temp.run(("mkdir -p %s/%s"):format(temp.quote(root), path:match "^(.+)/"))))
    temp.write(root .. "/" .. path, text)
  end
  return rooms.check(root)
end

local function uses(...)
  local lines = {}
  for _, module in ipairs { ... } do lines[#lines + 1] = ("require %q\n"):format(module) end
  return table.concat(lines)
end

-- Names every source file, so that only what the case is about is wrong.
local function named(files)
  local lines = {}
  for path in pairs(files) do lines[#lines + 1] = "-- " .. path end
  files["spec/all_spec.lua"] = table.concat(lines, "\n") .. "\n"
  return files
end

describe("the check of the rooms", function()
  teardown(temp.clean)

  local cases = {
    { "nothing in a tree in order", {
      ["lua/crdbcloud/errors.lua"] = "return 1\n",
      ["lua/crdbcloud/api/lists.lua"] = uses "crdbcloud.errors",
      ["lua/crdbcloud/run/batch.lua"] = uses("crdbcloud.api.lists", "crdbcloud.errors"),
      ["csrc/base/buffer.c"] = '#include "base/buffer.h"\n', ["csrc/base/buffer.h"] = "int x;\n",
      ["csrc/lua/core.c"] = '#include <lua.h>\n#include "base/buffer.h"\n',
    } },
    { "a require that runs up", {
      ["lua/crdbcloud/api/lists.lua"] = uses "crdbcloud.run.batch",
      ["lua/crdbcloud/run/batch.lua"] = "return 1\n",
    }, upward = 1, says = "lua/crdbcloud/api/lists.lua uses run/batch, which lies above it" },
    { "a require that runs up inside a function", {
      ["lua/crdbcloud/sinks/json.lua"] = 'return function() return require("crdbcloud.credentials") end\n',
      ["lua/crdbcloud/credentials.lua"] = "return 1\n",
    }, upward = 1, says = "lua/crdbcloud/sinks/json.lua uses credentials, which lies above it" },
    { "a require of any file of a room above", {
      ["lua/crdbcloud/run/batch.lua"] = 'return function(name) return require("crdbcloud.workflows." .. name) end\n',
    }, upward = 1, says = "lua/crdbcloud/run/batch.lua uses workflows, which lies above it" },
    { "no require in a comment or a text", {
      ["lua/crdbcloud/base/urls.lua"] = '-- require "crdbcloud.cloud"\nreturn \'say require "crdbcloud.cloud"\'\n',
      ["lua/crdbcloud/cloud.lua"] = "return 1\n",
    } },
    { "whoever requires the entry point of a thread", {
      ["lua/crdbcloud/threads/worker.lua"] = uses "crdbcloud.cloud",
      ["lua/crdbcloud/cloud.lua"] = "return 1\n",
      ["lua/crdbcloud/threads/crew.lua"] = uses "crdbcloud.threads.worker",
    }, upward = 1, says = "lua/crdbcloud/threads/crew.lua uses threads/worker, which lies above it" },
    { "a circle within a room", {
      ["lua/crdbcloud/run/batch.lua"] = uses "crdbcloud.run.plan",
      ["lua/crdbcloud/run/plan.lua"] = uses "crdbcloud.run.spool",
      ["lua/crdbcloud/run/spool.lua"] = uses "crdbcloud.run.batch",
    }, circles = 1, says = "a circle: run/batch, run/plan, run/spool" },
    { "a room without a place in the order", {
      ["lua/crdbcloud/attic/old.lua"] = "return 1\n",
    }, says = "lua/crdbcloud/attic/old.lua: the order of rooms does not know it" },
    { "an include that runs up", {
      ["csrc/base/buffer.c"] = '#include "http/pace.h"\n', ["csrc/http/pace.h"] = "int x;\n",
    }, upward = 1, says = "csrc/base/buffer.c uses http/pace.h, which lies above it" },
    { "a circle of headers", {
      ["csrc/http/pace.h"] = '#include "http/redact.h"\n', ["csrc/http/redact.h"] = '#include "http/pace.h"\n',
    }, circles = 1, says = "a circle: http/pace.h, http/redact.h" },
    { "a plain C file that sees Lua", {
      ["csrc/sql/session.c"] = "#include <lauxlib.h>\n",
    }, upward = 1, says = "csrc/sql/session.c includes Lua's headers; only csrc/lua may" },
  }
  for _, case in ipairs(cases) do
    it("finds " .. case[1], function()
      local problems, figures = check(named(case[2]))
      assert.are.same({ case.says }, problems)
      assert.are.equal(case.circles or 0, figures.circles)
      assert.are.equal(case.upward or 0, figures.upward)
    end)
  end

  it("finds a room that holds too many files, a header and its source being one", function()
    local files = {}
    for n = 1, rooms.MOST_FILES do
      files[("csrc/http/part%d.c"):format(n)] = "int x;\n"
      files[("csrc/http/part%d.h"):format(n)] = "int x;\n"
    end
    assert.are.same({}, (check(named(files))))
    files["csrc/http/more.c"] = "int x;\n"
    assert.are.same({ "csrc/http holds 26 files, more than 25" }, (check(named(files))))
  end)

  describe("wants a spec for each source file", function()
    local source = { ["lua/crdbcloud/run/batch.lua"] = "return 1\n", ["csrc/base/random.c"] = "int x;\n" }
    local function with(path, text)
      local files = { [path] = text }
      for name, content in pairs(source) do files[name] = content end
      return files
    end
    local lua = "lua/crdbcloud/run/batch.lua is named by no spec: add spec/run/batch_spec.lua, or give its path in the spec that tests it"
    local c = "csrc/base/random.c is named by no spec: add spec/base/random_spec.lua, or give its path in the spec that tests it"
    local given = {
      { "says where it may stand", "spec/other_spec.lua", "return 1\n", { c, lua } },
      { "takes one of the same room and name", "spec/run/batch_spec.lua", "return 1\n", { c } },
      { "does not take the same name in another room", "spec/base/batch_spec.lua", "return 1\n", { c, lua } },
      { "takes one that requires it", "spec/other_spec.lua", uses "crdbcloud.run.batch", { c } },
      { "does not take one that requires a longer name", "spec/other_spec.lua", uses "crdbcloud.run.batches", { c, lua } },
      { "takes one that gives its path", "spec/other_spec.lua", "-- Tests csrc/base/random.c.\n", { lua } },
      { "does not take help for specs", "spec/support/other.lua", "-- Tests csrc/base/random.c.\n", { c, lua } },
      { "finds a path that is not there", "spec/run/batch_spec.lua", "-- Tests csrc/base/random.c, csrc/base/gone.c.\n",
        { "spec/run/batch_spec.lua names csrc/base/gone.c, which is not there" } },
    }
    for _, case in ipairs(given) do
      it("and " .. case[1], function() assert.are.same(case[4], (check(with(case[2], case[3])))) end)
    end
  end)
end)

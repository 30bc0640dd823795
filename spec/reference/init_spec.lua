-- Tests lua/crdbcloud/reference/account.lua, lua/crdbcloud/reference/calls.lua, lua/crdbcloud/reference/handles.lua,
-- lua/crdbcloud/reference/nginx.lua, lua/crdbcloud/reference/results.lua, lua/crdbcloud/reference/secrets.lua,
-- lua/crdbcloud/reference/shared.lua, lua/crdbcloud/reference/workflows.lua.
--
-- The reference says what there is, and there is what it says: functions, options, kinds, codes, variables.

local crdbcloud = require "crdbcloud"
local durations = require "crdbcloud.base.durations"
local holders = require "crdbcloud.help.holders"
local reference = require "crdbcloud.reference"
local temp = require "spec.support.temp"
local topics = require "crdbcloud.reference.topics"

local ID = "35c4abb2-bb66-46d7-afed-25ebef5ed2aa"
local ACCESS = { database = "shop", preset = "readonly" }

local cloud = assert(crdbcloud.new { api_key = "CCDB1_x_y", base_url = "http://127.0.0.1:1", rate = 0, max_attempts = 1 })
local cluster = assert(cloud:cluster("prod-eu", { store = "memory:" }))
local sql = require("crdbcloud.sql").wrap({ query = function() return {} end, is_open = function() return true end }, { info = {} })
local OBJECTS = {
  cloud = cloud, cluster = cluster, sql = sql, store = crdbcloud.store.open "memory:",
  credentials = crdbcloud.credentials { source = "memory:", user = "app" },
}

-- Something that an argument of this name may be.
local SAMPLES = {
  cluster_id = ID, name = "app", password = "gX7mZp0QeR2tW9", method = "GET", path = "/x", name_or_id = "prod-eu", user = "app",
  connect = print, dict = "crdbcloud", url = "memory:", sql = sql, access = ACCESS, wanted = ACCESS, actual = { grants = {} },
}

local function sorted(set)
  local list = {}
  for name in pairs(set) do list[#list + 1] = name end
  table.sort(list)
  return list
end

local function names_of(items)
  local set = {}
  for _, item in ipairs(items) do set[item[1]] = true end
  return sorted(set)
end

-- The options that the code accepts, as its own error lists them.
local function accepted(call, object, entry)
  local args, n = {}, 0
  if object then args[1], n = object, 1 end
  for _, arg in ipairs(entry.args or {}) do
    n = n + 1
    args[n] = SAMPLES[arg[1]]
  end
  args[n + 1] = { zzzzzzzz = 1 }
  local ok, message = pcall(call, (table.unpack or unpack)(args, 1, n + 1))
  assert.is_false(ok, entry.path .. " takes any option")
  local list = message:match 'unknown option "zzzzzzzz"; valid: (.*)$'
  if message:find "it takes none" then list = "" end
  assert.is_string(list, message)
  local set = {}
  for name in list:gmatch "[%w_]+" do set[name] = true end
  return sorted(set)
end

-- All functions and callable tables of a holder that have a name of their own.
local function functions_of(holder, chapter)
  local set = {}
  if chapter.object == "crdbcloud" then
    local source = temp.read(chapter.module and "lua/crdbcloud/nginx/init.lua" or "lua/crdbcloud/init.lua")
    for name in source:match "local PARTS = (%b{})":gmatch "\n  ([%w_]+) = " do
      local value = holder[name]
      local meta = getmetatable(value)
      if type(value) == "function" or type(meta) == "table" and meta.__call and name ~= "secret" then set[name] = true end
    end
    return set
  end
  for name, value in pairs(holder) do
    if type(value) == "function" and not name:find "^_" then set[name] = true end
  end
  return set
end

describe("the reference", function()
  -- Chapters of one object together: of each holder what is described, and what is internal.
  local described, internal, holder_of = {}, {}, {}
  for _, chapter in ipairs(reference.chapters()) do
    local object = chapter.module or chapter.object
    described[object], internal[object] = described[object] or {}, internal[object] or {}
    holder_of[object] = { holders.of(chapter, true), chapter }
    for _, entry in ipairs(chapter.entries) do described[object][entry.name] = true end
    for _, name in ipairs(chapter.internal or {}) do internal[object][name] = true end
  end

  for object, names in pairs(described) do
    it("describes every function of " .. object .. ", and no other", function()
      local there, expected = functions_of(holder_of[object][1], holder_of[object][2]), {}
      for name in pairs(names) do expected[name] = true end
      for name in pairs(internal[object]) do
        assert.is_nil(names[name], name .. " is described and internal")
        expected[name] = true
      end
      assert.same(sorted(there), sorted(expected))
    end)
  end

  it("describes every method that a kind of store has", function()
    local known = {}
    for name in pairs(described.store) do known[name] = true end
    for _, kind in ipairs { "file", "memory", "sql", "exec" } do
      local text = temp.read("lua/crdbcloud/store/" .. kind .. ".lua")
      for name in text:gmatch "\nfunction %u%w+[:.]([%w_]+)%(" do
        if not name:find "^_" then known[name] = nil end
      end
    end
    assert.same({}, known)
  end)

  reference.each(function(entry, chapter)
    if entry.options then
      it("knows each option of " .. entry.path, function()
        local holder = holders.of(chapter, true)
        local fn = holder[entry.name]
        local options = entry.options
        if entry.same_options_as then
          for _, other in ipairs(chapter.entries) do
            if other.name == entry.same_options_as then options = other.options end
          end
        end
        local names = names_of(options)
        for _, name in ipairs(entry.refused or {}) do names[#names + 1] = name end
        table.sort(names)
        assert.same(accepted(fn, OBJECTS[chapter.object], entry), names)
      end)
    end
  end)

  it("knows the fields of access, of sinks, and the kinds of errors", function()
    local _, err = crdbcloud.privileges.normalize { zzzzzzzz = 1 }
    local set = {}
    for name in err.message:match "valid: (.*)$":gmatch "[%w_]+" do set[name] = true end
    assert.same(sorted(set), names_of(topics.ACCESS))

    local _, problem = pcall(require("crdbcloud.sinks").parse, { "zzzzzzzz:x" }, "sinks")
    set = {}
    for name in problem:match "valid: (.*)$":gmatch "[%w_]+" do set[name] = true end
    assert.same(sorted(set), names_of(topics.SINKS))
    for _, sink in ipairs(topics.SINKS) do
      local fields = require(sink[1] == "shared" and "crdbcloud.nginx.shared_sink" or "crdbcloud.sinks." .. sink[1]).fields
      if sink[3]:find "fields " then
        local told = {}
        for name in sink[3]:match "fields (.*)$":gmatch "[%w_]+" do told[name] = true end
        assert.same(sorted(fields), sorted(told))
      end
    end

    set = {}
    for name in temp.read("lua/crdbcloud/errors.lua"):match "local KINDS = (%b{})":gmatch "([%w_]+) = true" do set[name] = true end
    assert.same(sorted(set), names_of(topics.KINDS))
    local fields = { json = true, code = true, reason = true }
    for name in temp.read("lua/crdbcloud/errors.lua"):match "\nlocal FIELDS = (%b{})":gmatch '"([%w_]+)"' do fields[name] = true end
    for _, field in ipairs(topics.ERROR_FIELDS) do assert.is_true(fields[field[1]], field[1]) end
  end)

  it("knows every exit code that the runbook names, and every variable that is read", function()
    local codes = {}
    for _, exit in ipairs(topics.EXITS) do codes[tostring(exit[1])] = true end
    local told = {}
    for cells in temp.read "examples/OPERATING.md":gmatch "\n| ([%d, ]+) |" do
      for code in cells:gmatch "%d+" do told[code] = true end
    end
    told["125"] = true -- of `crdbcloud exec` alone
    assert.same(sorted(codes), sorted(told))
    local variables = {}
    local sources = temp.run "grep -rhoE '\"(COCKROACH|CRDBCLOUD)_[A-Z_]+\"' lua/crdbcloud --include=*.lua | sort -u"
    for name in sources:gmatch '"([%u_]+)"' do variables[name] = true end
    variables.CRDBCLOUD_SHELL = nil -- of `crdbcloud shell` to itself
    assert.same(sorted(variables), names_of(topics.ENVIRONMENT))
  end)

  it("has the defaults of an account right", function()
    local defaults = require("crdbcloud.api.account").DEFAULTS
    for _, option in ipairs(reference.chapters "crdbcloud"[1].entries[1].options) do
      local expected = defaults[option[1]]
      if expected then
        local told = option[4]:match '^"(.*)"$' or option[4]
        assert.equal(expected, type(expected) == "number" and (tonumber(told) or durations.read(told)) or told, option[1])
      end
    end
  end)

  it("has a summary, results, errors and an example that can be read, for each call", function()
    reference.each(function(entry)
      assert.matches("%.$", entry.summary, entry.path)
      assert.is_true((rawget(_G, "loadstring") or load)("local function is_lua(...) " .. entry.example .. "\nend") ~= nil, entry.path .. ": " .. entry.example)
      assert.is_true(entry.returns == nil or entry.never_fails or entry.errors ~= nil, entry.path .. " tells no errors")
      for _, list in ipairs { entry.args or {}, entry.options or {} } do
        for _, item in ipairs(list) do
          assert.is_string(item[2], entry.path)
          assert.matches("%S", item[3], entry.path)
        end
      end
    end)
  end)

  it("is what editors take the modules for", function()
    for path, class in pairs { ["lua/crdbcloud/init.lua"] = "crdbcloud", ["lua/crdbcloud/nginx/init.lua"] = "crdbcloud.nginx" } do
      assert.truthy(temp.read(path):find(("\n---@type %s\nlocal M = setmetatable("):format(class), 1, true), path)
    end
    for path, text in pairs(require("spec.support.reference").files()) do
      -- What follows a function's results belongs to them: an alternative to it stands in front.
      for line in text:gmatch "[^\n]+" do
        if line:find "^%-%-%-@" then assert.falsy(line:find "fun%b(): [%w_.]+|[%w_\"]" and not line:find "|nil", path .. ": " .. line) end
      end
    end
  end)

  it("stands in REFERENCE.md with workflows before raw calls, tables with headers, and each common option once", function()
    local text = temp.read "examples/REFERENCE.md"
    assert.is_true(text:find("\n## Workflows\n", 1, true) < text:find("\n## The API, call by call\n", 1, true))
    local count = 0
    for head in text:gmatch "\n(|[^\n]*)\n| %-%-%-" do
      count = count + 1
      assert.falsy(head:find "| *|", head)
    end
    assert.is_true(count > 50)
    for _, option in ipairs(require("crdbcloud.reference.shared").common) do
      local meaning = option[3] .. (option[4] and "; default " .. option[4] or "")
      local rows = select(2, text:gsub(("\n| `%s` | [^\n]* | %s |"):format(option[1], (meaning:gsub("%p", "%%%0"))), ""))
      assert.equal(1, rows, option[1])
    end
  end)

  it("is what REFERENCE.md and the declarations were made from: make reference", function()
    for path, text in pairs(require("spec.support.reference").files()) do
      assert.is_true(temp.read(path) == text, path .. " is not current: make reference")
    end
  end)
end)

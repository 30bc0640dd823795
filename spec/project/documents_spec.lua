-- The documents hold: each block of code runs as it is printed, in order, against a fresh sandbox; links lead somewhere.

local documents = require "spec.support.documents"
local example = require "spec.support.example"
local sandbox = require "spec.support.sandbox"
local temp = require "spec.support.temp"

local LUA = example.LUA

-- Blocks that another spec runs or that change the machine: document, words of the block, the reason, the spec that looks at them.
local ELSEWHERE = {
  { "README.md", "apt-get install", "it installs packages and clones over the network", "spec/project/documents_spec.lua" },
  { "README.md", "user www-data;", "it needs nginx", "spec/nginx/readme_spec.lua" },
  { "README.md", "-o www-data", "it writes to /etc", "spec/nginx/readme_spec.lua" },
  { "examples/stores/README.md", "/usr/local/lib/crdbcloud/etcd", "it needs etcd", "spec/store/recipes_spec.lua" },
  { "examples/sinks/README.md", "/usr/local/lib/crdbcloud/vault", "it needs Vault", "spec/sinks/recipes_spec.lua" },
  { "spec/hostile/README.md", "spec.hostile.api", "it is the body of a case", "spec/hostile/names_spec.lua" },
  { "examples/nginx/README.md", "examples/nginx/run", "it starts nginx", "spec/nginx/example_spec.lua" },
}

local function elsewhere(path, block)
  for _, entry in ipairs(ELSEWHERE) do
    if entry[1] == path and block.text:find(entry[2], 1, true) then return entry end
  end
end

local PROGRAMS = { lua = LUA, sh = "sh -eu" }

describe("the documents", function()
  local s, home

  setup(function() s = sandbox.shared() end)
  before_each(function() home = temp.dir() end)
  after_each(temp.clean)

  -- What the reader is told to put in place of a name or to type.
  local function filled_in(text)
    if text:find "paste the key" then
      text = text:gsub("prod%-eu", s.cluster_name):gsub("HOST:26257/defaultdb", ("127.0.0.1:%d/shop"):format(s.pg.port))
    end
    -- A block that leaves a sandbox for those that follow: each of them has one already.
    if text:find "sandbox start" and not text:find "\nexamples/sandbox/sandbox stop\n" then
      text = text .. "examples/sandbox/sandbox stop\n"
    end
    return text
  end

  local function run(path, block)
    temp.write(home .. "/block", filled_in(block.text))
    local out, code = example.run(s, home, ("%s %s/block <%s"):format(PROGRAMS[block.language], home, s.key_file),
      block.text:find "%.pgpass" and block.text:find "HOST:26257" and "PGPASSFILE" or nil)
    local where = ("%s, line %d:\n%s"):format(path, block.line, out)
    assert.is_true(code == 0, where)
    assert.falsy(out:find("WRONG", 1, true), where)
    assert.falsy(out:find(temp.read(s.key_file):match "_(%w+)%s*$", 1, true), where)
  end

  for _, path in ipairs(documents.all()) do
    local blocks = {}
    for _, block in ipairs(documents.blocks(path)) do
      -- The case below replays the session; spec/reference runs the examples of the reference.
      if not elsewhere(path, block) and block.language ~= "console" and path ~= "examples/REFERENCE.md" then blocks[#blocks + 1] = block end
    end
    if #blocks > 0 then it("have blocks that run as they stand, in order: " .. path, function()
      s:reset()
      for _, block in ipairs(blocks) do
        assert.truthy(PROGRAMS[block.language], ("%s, line %d: who runs this?"):format(path, block.line))
        run(path, block)
      end
    end) end
  end

  it("have no block that hides in an indent", function()
    for _, path in ipairs(documents.all()) do
      local _, prose = documents.blocks(path)
      assert.falsy(prose:find "\n\n    %S", path)
    end
  end)

  it("name no block here that is gone", function()
    for _, entry in ipairs(ELSEWHERE) do
      assert.truthy(temp.read(entry[4]), entry[4])
      local found = false
      for _, block in ipairs(documents.blocks(entry[1])) do found = found or elsewhere(entry[1], block) == entry end
      assert.is_true(found, entry[2])
    end
  end)

  it("have links that lead to a file and a heading", function()
    local count = 0
    for _, path in ipairs(documents.all()) do
      for _, link in ipairs(documents.links(path)) do
        count = count + 1
        assert.is_true(select(2, temp.run("test -e " .. temp.quote(link[1]))) == 0, path .. " links to " .. link[1])
        if link[2] ~= "" then assert.is_true(documents.anchors(link[1])[link[2]] == true, ("%s links to %s#%s"):format(path, link[1], link[2])) end
      end
    end
    assert.is_true(count > 20)
  end)

  -- What differs from run to run.
  local function same_for_all(text)
    return (text:gsub("run %x+", "run 10d12ca281e5b4b3"):gsub("store file:%S+", "store file:/var/lib/crdbcloud"))
  end

  it("begin with a session that prints what README.md says, of a run that is killed", function()
    s:reset()
    for user in ("billing reporting search"):gmatch "%S+" do
      local out, code = example.run(s, home, ("crdbcloud -q app-user create %s --database shop --preset readonly"):format(user))
      assert.equal(0, code, out)
    end
    local session = documents.blocks "README.md"[1]
    assert.equal("console", session.language)
    local printed = {}
    for line in session.text:gmatch "[^\n]+" do
      local command = line:match "^%$ (.*)$"
      if command then
        local text = command
        s:clear()
        if command:find "^crdbcloud rotate run" then
          s:fault { op = "update_sql_user_password", user = "reporting", what = "delay", seconds = 60 }
          -- Killed when the password of reporting is on its way.
          text = ([[sh -c 'echo $$ >%s/pid; exec %s' >%s/out 2>&1 & until examples/sandbox/sandbox log | grep -q "sql-users/reporting/password"
            do kill -0 $! || exit 1; done; kill -KILL $!; wait $! 2>/dev/null; cat %s/out; echo Killed]]):format(home, command, home, home)
        end
        printed[#printed + 1] = line .. "\n" .. example.run(s, home, text)
      end
    end
    s:clear()
    assert.equal(session.text, same_for_all(table.concat(printed)))
  end)

  it("ask in README.md for targets that the Makefile has, and clone from where the package comes from", function()
    local readme = temp.read "README.md"
    local makefile = temp.read "Makefile"
    local count = 0
    for target in readme:gmatch "[`\n]make ([%l-]+)" do
      count = count + 1
      assert.truthy(makefile:find("\n" .. target:gsub("%-", "%%-") .. ":"), target)
    end
    assert.is_true(count > 4)
    local url = temp.run "cat rockspec/*":match 'url = "git%+([^"]+)"'
    assert.truthy(readme:find("git clone " .. url .. "\n", 1, true), url)
  end)

  it("list each example in examples/README.md, with a command", function()
    local rows = {}
    for name, command in temp.read "examples/README.md":gmatch "\n| %[[^%]]+%]%(([^)/]+)[^)]*%) | [^|]+ | `([^`]+)` |" do rows[name] = command end
    for name in temp.run "ls examples":gmatch "[^\n]+" do
      if not name:find "%.md$" then assert.is_string(rows[name], name) end
    end
  end)

  it("need 180 lines for README.md, at most", function()
    assert.is_true(select(2, temp.read "README.md":gsub("\n", "")) <= 180)
  end)
end)

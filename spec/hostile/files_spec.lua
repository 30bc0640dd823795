--- What others put in our way in a directory that they may write: locks, files, links; and a process that was started
--- without its standard descriptors.

local core = require "crdbcloud.core"
local sinks = require "crdbcloud.sinks"
local temp = require "spec.support.temp"

local PASSWORD = "s3cret-of-the-sink"
local ROOT = core.euid() == 0 -- only root can give a file to somebody else

local dir, path

before_each(function()
  dir = temp.dir()
  temp.run("chmod 1777 " .. dir)
  path = dir .. "/target"
end)
after_each(temp.clean)

local function credential()
  return {
    user = "app", cluster = "prod", cluster_id = "1b6fee85-c1ae-42da-bb4f-e3f8a89fdd25", host = "db.example.com", port = 26257,
    database = "shop", sslmode = "verify-full", epoch = 5, set_at = 1700000000, pool_name = "x/app/5", password = core.secret(PASSWORD),
  }
end

local function sink(kind)
  return sinks.open(sinks.parse({ kind .. ":" .. path }, "sinks"), "app", "prod")[1]
end

-- Whether the password stands in any file of the directory that is not ours alone.
local function handed_out()
  for _, name in ipairs(core.list_dir(dir)) do
    local st = core.stat(dir .. "/" .. name)
    local text = st.type == "file" and temp.read(dir .. "/" .. name) or ""
    if text:find(PASSWORD, 1, true) and (st.uid ~= core.euid() or st.mode % 64 ~= 0) then return name end
  end
end

describe("a lock beside a sink", function()
  local KINDS = { "pgpass", "dotenv" }

  it("leaves a file of its name as it is, when that is ours", function()
    for _, kind in ipairs(KINDS) do
      temp.write(path .. ".lock", "a lock file of some package manager\n")
      assert(sink(kind):publish(credential()))
      assert.are.equal("a lock file of some package manager\n", temp.read(path .. ".lock"))
      os.remove(path)
    end
  end)

  it("refuses a second name of some other file, and does not change that file", function()
    for _, kind in ipairs(KINDS) do
      temp.write(dir .. "/precious", "precious\n")
      temp.run(("ln -f %s/precious %s.lock"):format(dir, path))
      local ok, err = sink(kind):publish(credential())
      assert.is_nil(ok)
      assert.truthy(err.message:find("has a second name (a hard link)", 1, true), err.message)
      assert.are.equal("precious\n", temp.read(dir .. "/precious"))
    end
  end)

  it("refuses a file of another owner, a link, a pipe and a directory of its name", function()
    local plants = { "ln -s precious", "mkfifo", "mkdir" }
    if ROOT then plants[#plants + 1] = "install -o 1234 -m 666 precious" end
    temp.write(dir .. "/precious", "precious\n")
    for _, plant in ipairs(plants) do
      assert.are.equal("", (temp.run(("cd %s && rm -rf target.lock && %s target.lock"):format(dir, plant))))
      local ok, err = sink "pgpass":publish(credential())
      assert.is_nil(ok, plant)
      assert.truthy(err.message:find("target.lock", 1, true), err.message)
      assert.are.equal("precious\n", temp.read(dir .. "/precious"))
      assert.is_nil(temp.read(path))
    end
  end)

  it("with a note is refused on a second name too, as in a store", function()
    temp.write(dir .. "/precious", "precious\n")
    temp.run(("ln %s/precious %s/lock"):format(dir, dir))
    assert.are.equal("links", select(3, core.lock(dir .. "/lock", "note")))
    assert.are.equal("precious\n", temp.read(dir .. "/precious"))
  end)
end)

describe("a file that somebody plants where a sink writes", function()
  local KINDS = { "file", "json", "dotenv", "pgpass" }

  it("gets nothing when it is another owner's, planted before the check or after it", function()
    if not ROOT then return end
    for _, kind in ipairs(KINDS) do
      for _, when in ipairs { "before", "after" } do
        os.remove(path)
        local s = sink(kind)
        if when == "after" then assert(s:check(credential())) end
        temp.run(("install -o 1234 -g 1234 -m 666 /dev/null %s"):format(path))
        local ok, err = s:publish(credential())
        assert.is_nil(ok, kind)
        assert.truthy(err.message:find("belongs to uid 1234", 1, true), err.message)
        assert.is_nil(handed_out())
      end
    end
  end)

  it("gets nothing when it is a link or a second name of a file that others read", function()
    for _, kind in ipairs(KINDS) do
      for _, plant in ipairs { "ln -s", "ln" } do
        temp.run(("cd %s && rm -f target && : >other && chmod 644 other && %s other target"):format(dir, plant))
        sink(kind):publish(credential()) -- refused, or written as a file of our own
        assert.is_nil(handed_out(), kind .. " " .. plant)
        assert.are.equal("", temp.read(dir .. "/other"))
      end
    end
  end)

  it("never gets it in a race: who plants while we write has the old file, not the new content", function()
    if not ROOT then return end
    -- The planter puts a file of another owner in the place as fast as it can; each write is refused or is ours.
    local planter = io.popen(([[cd %s && echo $$ && while [ -e go ]; do install -o 1234 -m 666 /dev/null plant && mv -f plant target; done]]):format(dir), "r")
    temp.write(dir .. "/go", "")
    planter:read "*l"
    local refused, written = 0, 0
    for _ = 1, 200 do
      local ok, _, code = core.write_file(path, PASSWORD)
      if ok then written = written + 1 else
        refused = refused + 1
        assert.are.equal("owner", code)
      end
      assert.is_nil(handed_out())
    end
    os.remove(dir .. "/go")
    planter:close()
    assert.are.equal(200, refused + written)
  end)

  it("keeps nothing from a file of our own", function()
    temp.write(path, "")
    temp.run("chmod 600 " .. path)
    for _, kind in ipairs(KINDS) do
      os.remove(path)
      assert(sink(kind):publish(credential()))
      assert(sink(kind):publish(credential()))
      assert.is_nil(handed_out())
    end
  end)
end)

describe("a process that was started with closed descriptors", function()
  -- What is printed goes nowhere, and the file that is opened first keeps its content.
  local function run(closed)
    return temp.run(temp.lua(([[
      local file = assert(io.open(%q, "w"))
      io.stdout:write "to standard output\n" io.stdout:flush()
      io.stderr:write "to standard error\n"
      file:write "content" file:close()]]):format(path)) .. " " .. closed)
  end

  it("opens nothing in their place", function()
    for _, closed in ipairs { "<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", "<&- 2>&-" } do
      local output, status = run(closed)
      assert.are.equal(0, status, output)
      assert.are.equal("content", temp.read(path), closed)
    end
  end)

  it("leaves those alone that are open", function()
    assert.are.equal("to standard output\nto standard error\n", (run ""))
    assert.are.equal("to standard output\n", (run "2>&-"))
    assert.are.equal("to standard error\n", (run ">&-"))
  end)

  it("gets an end of file from standard input, not the next file", function()
    temp.write(dir .. "/other", "of another file\n")
    local output = temp.run(temp.lua(("local f = io.open(%q) print(io.read '*l')"):format(dir .. "/other")) .. " <&-")
    assert.are.equal("nil\n", output)
  end)

  it("does not say that something was printed which was not", function()
    local output = temp.run(temp.lua "local ok = io.stdout:write 'x' ok = ok and io.stdout:flush() io.stderr:write(tostring(ok))" .. " >&-")
    assert.are.equal("nil", output)
  end)
end)

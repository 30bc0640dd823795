-- Tests csrc/files/dotenv_line.c, csrc/lua/document.c, lua/crdbcloud/sinks/dotenv.lua.

local core = require "crdbcloud.core"
local readers = require "spec.support.env_readers"
local sinks = require "crdbcloud.sinks"
local temp = require "spec.support.temp"

local MARK = "# crdbcloud: epoch 5 of K\n"
local DIALECTS = { "posix", "docker", "systemd" }

local function update(dialect, file, password, epoch)
  local text, why, code = core.dotenv_update(file and core.secret(file), { key = "K", dialect = dialect, epoch = epoch or 5 }, core.secret(password))
  return text and text:reveal(), why, code
end

-- Random, but the same in each run.
local function numbers(seed)
  return function(n)
    seed = (seed * 16807) % 2147483647
    return seed % n + 1
  end
end

local PIECES = {
  "a", "Z", "0", " ", "  ", "'", '"', "\\", "$", "`", "#", ";", "=", "!", "&", "|", "(", ")", "<", ">", "*", "?", "[", "]", "{", "}", "~", "%",
  "^", "-", "_", ".", ",", ":", "/", "@", "+", "\\n", "$HOME", "${A}", "$(id)", "`id`", "'\\''", "ü", "日本", "é", "\\\\", "''", '""', "export ", "#x",
}

local function passwords(count, extra)
  local random, list = numbers(20240611), {}
  for i = 1, count do
    local parts = {}
    for j = 1, random(12) do
      local k = random(#PIECES + #extra)
      parts[j] = PIECES[k] or extra[k - #PIECES]
    end
    list[i] = table.concat(parts)
  end
  return list
end

describe("an environment file", function()
  after_each(temp.clean)

  it("for a shell gives back any password, by sh and bash", function()
    local list = passwords(300, { "\n", "\t", "\r", "\1", "\127", "\128", "\255", "\192\175" })
    local texts = {}
    for i, password in ipairs(list) do texts[i] = assert(update("posix", nil, password)) end
    for _, shell in ipairs { "sh", "bash" } do
      local values = readers.shell(shell, texts)
      for i, password in ipairs(list) do assert.equal(password, values[i]) end
    end
  end)

  it("for docker gives back any password that it takes, by old rules and new", function()
    local taken = 0
    for _, password in ipairs(passwords(500, { "\t", "\n", "\r" })) do
      local text, why, code = update("docker", nil, password)
      if text then
        taken = taken + 1
        assert.equal(password, readers.docker(text, false).K)
        assert.equal(password, readers.docker(text, true).K)
      else
        assert.equal("value", code)
        assert.truthy(password:find "[\r\n]" or password:find "^'.*'$" or password:find '^".*"$', why)
      end
    end
    assert.is_true(taken > 300)
  end)

  it("for systemd gives back any password, by old rules and new", function()
    for _, password in ipairs(passwords(500, {})) do
      local text = assert(update("systemd", nil, password))
      assert.equal(password, readers.systemd(text, false).K)
      assert.equal(password, readers.systemd(text, true).K)
    end
  end)

  it("for systemd gives back any password without a dollar sign, by systemd itself", function()
    local list, texts = {}, {}
    for _, password in ipairs(passwords(120, {})) do
      if not password:find("$", 1, true) then
        list[#list + 1] = password
        texts[#texts + 1] = update("systemd", nil, password)
      end
    end
    assert.is_true(#list > 40)
    local values = readers.real_systemd(texts)
    for i, password in ipairs(list) do assert.equal(password, values[i]) end
  end)

  it("holds a generated password bare, in every dialect", function()
    for _, dialect in ipairs(DIALECTS) do
      assert.equal(MARK .. "K=a1B2c3\n", update(dialect, nil, "a1B2c3"))
    end
  end)
end)

-- Lines that are somebody else's, as each program reads them.
local OTHERS = {
  posix = {
    "# comment with a ' quote\n", "\n", "A=1\n", "export B='two words'\n", 'C="quoted \\" K=no"\n', "D='\nK=no\n'\n", 'E="\nK=no\n"\n', "F=a\\\nK=no\n",
    "  G=indented\n", "KEY=other\n", "XK=other\n", "export K2=x Y=2 # tail K=no\n", "H=5$\n", "set -a\n", "\t\n", "I=a'b'\"c\"\\ d\n", "#K=no\n", "J=x#K=no\n",
  },
  docker = {
    "# comment\n", "\n", "A=1\n", "B=' quoted as it is '\n", "C=\"\n", "D='\n", "E=a\\\n", "  F=indented\n", "KEY=other\n", "XK=other\n", "G\n", "H=1\r\n",
    "#K=no\n", "I=x # K=no\n", "\r\n",
  },
  systemd = {
    "# comment with a ' quote\n", "; another\n", "\n", "A=1\n", 'B="two words"\n', "C='\nK=no\n'\n", 'D="\\"\nK=no\n"\n', "E=a\\\nK=no\n", "  F = spaced \n",
    "KEY=other\n", "XK=other\n", "G\n", "H='a'\"b\"c\n", "I=it's\n", "#K=no\n", "; K=no\n", "J=1\r\n", "L=a\\'b\n",
  },
}

-- What the file sets, without K.
local function settings(dialect, text)
  local values
  if dialect == "docker" then
    values = readers.docker(text, true)
  elseif dialect == "systemd" then
    values = readers.systemd(text, true)
  else
    local dir = temp.dir()
    temp.write(dir .. "/file", text)
    local out = temp.run(("env -i PATH=$PATH bash -c '. %s/file; unset _ BASHOPTS SHELLOPTS BASH_EXECUTION_STRING; set'"):format(dir))
    values = { all = out:gsub("\nK=[^\n]*", ""):gsub("^K=[^\n]*", ""):gsub("\nPPID=%d+", ""):gsub("\nBASH_ARGV=[^\n]*", "") }
  end
  values.K = nil
  return values
end

describe("what else is in an environment file", function()
  after_each(temp.clean)

  for _, dialect in ipairs(DIALECTS) do
    it("stays byte for byte and means the same: " .. dialect, function()
      local random = numbers(7)
      for round = 1, 60 do
        local before, after = {}, {}
        for i = 1, random(6) - 1 do before[i] = OTHERS[dialect][random(#OTHERS[dialect])] end
        for i = 1, random(6) - 1 do after[i] = OTHERS[dialect][random(#OTHERS[dialect])] end
        local head, tail = table.concat(before), table.concat(after)
        -- appended to a file without it
        local text = assert(update(dialect, head .. tail, "new"))
        assert.equal(head .. tail .. MARK .. "K=new\n", text)
        -- replaced in place, with or without an earlier mark
        for _, mark in ipairs { "", "# crdbcloud: epoch 4 of K\n" } do
          text = assert(update(dialect, head .. mark .. "K=old\n" .. tail, "new"))
          assert.equal(head .. MARK .. "K=new\n" .. tail, text)
        end
        assert.equal(text, update(dialect, text, "new"))
        if round <= 20 then assert.same(settings(dialect, head .. tail), settings(dialect, text)) end
      end
    end)

    it("may lack its last line feed: " .. dialect, function()
      assert.equal("A=1\n" .. MARK .. "K=new\n", update(dialect, "A=1", "new"))
      assert.equal(MARK .. "K=new", update(dialect, "K=old", "new"))
    end)
  end

  it("is kept on the variable's own line, too", function()
    assert.equal(MARK .. "  export K='a b' # why\n", (update("posix", "  export K=\"old\"'er' # why\n", "a b")))
    assert.equal(MARK .. "K=new\r\n", (update("docker", "K=old\r\n", "new")))
    assert.equal(MARK .. ' K =new\nA=1\n', (update("systemd", ' K =  "old\n" \'x\'\nA=1\n', "new")))
  end)

  it("is kept behind a byte-order mark, which docker takes off", function()
    local bom = "\239\187\191"
    assert.equal(bom .. "A=1\n" .. MARK .. "K=new\n", (update("docker", bom .. "A=1\nK=old\n", "new")))
    local text = update("docker", bom .. "K=old\nA=1\n", "new")
    assert.equal(bom .. MARK .. "K=new\nA=1\n", text)
    assert.same({ A = "1", K = "new" }, readers.docker(text, true))
    assert.equal(text, (update("docker", text, "new")))
  end)

  it("may set the variable twice: both places get the password", function()
    for _, dialect in ipairs(DIALECTS) do
      assert.equal(MARK .. "K=new\nA=1\nK=new\n", (update(dialect, "K=old\nA=1\nK=older\n", "new")))
    end
  end)

  it("may have values of other variables in its marks", function()
    local other = "# crdbcloud: epoch 9 of KEY\nKEY=x\n# crdbcloud: epoch 9 of K or so\n"
    assert.equal(other .. MARK .. "K=new\n", (update("posix", other, "new")))
  end)

  it("is not edited when it cannot be kept as it is", function()
    local cases = {
      { "posix", "A=$(id)\n", "the file runs commands" },
      { "posix", "A=\"`id`\"\n", "the file runs commands" },
      { "posix", "A=\"x$(id)\"\n", "the file runs commands" },
      { "posix", "A=$'\\''\n", "the file runs commands" },
      { "posix", "K=$(id)\n", "the file runs commands" },
      { "posix", "cat <<END\nK=no\nEND\n", "the file has a here-document" },
      { "posix", "A='open\n", "a quote in the file is not closed" },
      { "posix", "A=\"open\n", "a quote in the file is not closed" },
      { "posix", "K=x; ls\n", "the line of the variable does more than set it" },
      { "posix", "K=x ls\n", "the line of the variable does more than set it" },
      { "posix", "A=x\\\n", "its last line ends with a backslash" },
      { "posix", "A=x\\", "its last line ends with a backslash" },
      { "systemd", "A='open\n", "a quote in the file is not closed" },
      { "systemd", "A=x\\", "its last line ends with a backslash" },
      { "systemd", "A=x\\\n", "its last line ends with a backslash" },
      { "systemd", "# x\\\n", "its last line ends with a backslash" },
      { "docker", "A=\0\n", "it has a NUL byte" },
    }
    for _, case in ipairs(cases) do
      local text, why, code = update(case[1], case[2], "new")
      assert.is_nil(text, case[2])
      assert.equal("content", code)
      assert.truthy(why:find(case[3], 1, true), why)
    end
    -- these only look so
    for _, text in ipairs { "A='$(id) `id`'\n", "# $(id) '\n", "A=\\`x\n", 'A="\\$(x"\n', "A=5$\n", 'A="5$"\n', "A=x\\\\\n" } do
      assert.equal(text .. MARK .. "K=new\n", (update("posix", text, "new")))
    end
  end)
end)

describe("the epoch of a variable", function()
  it("never goes back", function()
    for _, dialect in ipairs(DIALECTS) do
      local file = assert(update(dialect, nil, "sixth", 6))
      local text, why, code = update(dialect, file, "fifth", 5)
      assert.is_nil(text)
      assert.equal("newer", code)
      assert.equal("it holds epoch 6, which is newer than 5", why)
      assert.equal(file, (update(dialect, file, "sixth", 6)))
      assert.truthy(update(dialect, file, "seventh", 7))
    end
  end)
end)

describe("a password that a dialect cannot hold", function()
  it("is refused", function()
    local cases = {
      { "posix", "", "is empty" }, { "posix", "a\0b", "has a NUL byte" }, { "docker", "a\nb", "has a line break" },
      { "docker", "a\r", "has a line break" }, { "docker", '"a"', "stands in quotes" }, { "docker", "''", "stands in quotes" },
      { "systemd", "", "is empty" },
    }
    for _, case in ipairs(cases) do
      local text, why, code = update(case[1], nil, case[2])
      assert.is_nil(text)
      assert.equal("value", code)
      assert.truthy(why:find(case[3], 1, true), why)
    end
    assert.equal(MARK .. "K=\"\n", (update("docker", nil, '"')))
  end)
end)

describe("a variable that is taken away", function()
  local function without(text, epoch)
    local changed, why, code = core.dotenv_update(core.secret(text), { key = "K", dialect = "posix", epoch = epoch or 3 }, false)
    if not changed then return nil, why, code end
    return changed:reveal()
  end

  it("goes with its comment, in each place, and everything else stays", function()
    local file = core.dotenv_update(core.secret "A=1\n", { key = "K", dialect = "posix", epoch = 3 }, "it's"):reveal()
    assert.equal("A=1\n", without(file))
    assert.equal("# mine\nA=1\nB='x'\n", without "# mine\nA=1\nK=one\nB='x'\nK=two\n")
    assert.equal("A=1", without "A=1")
    assert.same({ "newer" }, { select(3, without("# crdbcloud: epoch 4 of K\nK=x\n")) })
  end)
end)

describe("core.dotenv_update", function()
  it("raises on wrong arguments", function()
    local function message(...)
      local ok, why = pcall(core.dotenv_update, ...)
      assert.is_false(ok)
      return (why:gsub("^.-:%d+: ", ""))
    end
    local entry = { key = "K", dialect = "posix", epoch = 1 }
    assert.equal("entry: expected a table with key, dialect and epoch, got nil", message(nil, nil, "x"))
    assert.equal("key: expected the name of a variable, got 'a-b'", message(nil, { key = "a-b", dialect = "posix", epoch = 1 }, "x"))
    assert.equal("dialect: expected posix, docker or systemd, got 'csh'", message(nil, { key = "K", dialect = "csh", epoch = 1 }, "x"))
    assert.equal("epoch: expected a whole number from 0 to 9.00719925474099e+15, got 1.5", message(nil, { key = "K", dialect = "posix", epoch = 1.5 }, "x"))
    assert.equal("password: expected a string or a secret, got nil", message(nil, entry, nil))
    assert.matches("unknown option 'keys'", message(nil, { keys = "K" }, "x"))
  end)
end)

describe("a dotenv sink", function()
  local dir
  before_each(function() dir = temp.dir() end)
  after_each(temp.clean)

  local function credential(fields)
    local c = { user = "my-app.1", cluster = "prod", cluster_id = "1b6fee85-c1ae-42da-bb4f-e3f8a89fdd25", epoch = 5, password = core.secret "it's a password" }
    for k, v in pairs(fields or {}) do c[k] = v end
    return c
  end

  local function open(spec, user) return sinks.open(sinks.parse({ spec }, "sinks"), user or "my-app.1", "prod")[1] end

  it("writes a file of mode 0600 with a variable named after the user", function()
    local sink = open("dotenv:" .. dir .. "/{cluster}.env")
    assert.equal("dotenv:" .. dir .. "/prod.env#MY_APP_1_PASSWORD", sink.name)
    assert(sink:check(credential()))
    assert.is_nil(temp.read(dir .. "/prod.env"))
    assert(sink:publish(credential()))
    assert.equal("# crdbcloud: epoch 5 of MY_APP_1_PASSWORD\nMY_APP_1_PASSWORD='it'\\''s a password'\n", temp.read(dir .. "/prod.env"))
    assert.equal(384, core.stat(dir .. "/prod.env").mode % 512)
  end)

  it("keeps many users in one file, each in the dialect of its sink", function()
    local path = dir .. "/all.env"
    for _, user in ipairs { "one", "two", "three" } do
      local sink = open({ "dotenv", path = path, key = "DB_{USER}", dialect = "systemd" }, user)
      assert(sink:publish(credential { user = user, password = core.secret(user .. " pass") }))
    end
    local values = readers.systemd(temp.read(path), true)
    assert.same({ DB_ONE = "one pass", DB_TWO = "two pass", DB_THREE = "three pass" }, values)
  end)

  it("lets two processes publish into one file at once", function()
    local path = dir .. "/all.env"
    local lines = {}
    for i = 1, 6 do
      lines[i] = temp.lua(([[
        local sinks = require "crdbcloud.sinks"
        local sink = sinks.open(sinks.parse({ "dotenv:%s" }, "sinks"), "user%d", "prod")[1]
        for epoch = 1, 10 do assert(sink:publish { epoch = epoch, password = core.secret("pass%d") }) end]]):format(path, i, i)) .. " &"
    end
    assert.equal("", (temp.run(table.concat(lines, "\n") .. "\nwait")))
    local values, count = readers.docker(temp.read(path), true), 0
    for i = 1, 6 do assert.equal("pass" .. i, values[("USER%d_PASSWORD"):format(i)]) end
    for _ in pairs(values) do count = count + 1 end
    assert.equal(6, count)
  end)

  it("refuses before staging what it could not publish", function()
    local function refused(spec, what, fields)
      local sink = open(spec, fields and fields.user)
      for _, call in ipairs { "check", "publish" } do
        local ok, err = sink[call](sink, credential(fields))
        assert.is_nil(ok, call)
        assert.equal("sink", err.kind)
        assert.truthy(err.message:find(what, 1, true), err.message)
      end
    end
    local docker = { "dotenv", path = dir .. "/x.env", dialect = "docker" }
    local systemd = { "dotenv", path = dir .. "/x.env", dialect = "systemd" }
    refused(docker, "has a line break", { password = core.secret "a\nb" })
    refused(docker, "is not UTF-8, which docker --env-file refuses", { password = core.secret "a\255" })
    refused(systemd, "is not UTF-8, which systemd refuses", { password = core.secret "a\255" })
    refused(systemd, "has a control character", { password = core.secret "a\1" })
    refused("dotenv:" .. dir .. "/x.env", '"0USER_PASSWORD" is no name of a variable', { user = "0user" })
    refused("dotenv:" .. dir .. "/no/x.env", "No such file or directory")
    temp.write(dir .. "/open.env", "A=1\n")
    temp.run("chmod 644 " .. dir .. "/open.env")
    refused("dotenv:" .. dir .. "/open.env", "600")
    assert.equal("A=1\n", temp.read(dir .. "/open.env"))
    temp.write(dir .. "/runs.env", "A=$(id)\n")
    temp.run("chmod 600 " .. dir .. "/runs.env")
    refused("dotenv:" .. dir .. "/runs.env", "the file runs commands, so it is not edited")
    assert.is_nil(temp.read(dir .. "/x.env"))
  end)

  it("never goes back to an older epoch", function()
    local sink = open("dotenv:" .. dir .. "/x.env")
    assert(sink:publish(credential { epoch = 6 }))
    local ok, err = sink:publish(credential())
    assert.is_nil(ok)
    assert.truthy(err.message:find("it holds epoch 6, which is newer than 5", 1, true))
  end)

  it("takes a dialect by its name only", function()
    local ok, why = pcall(sinks.parse, { { "dotenv", path = "/x", dialect = "csh" } }, "sinks")
    assert.is_false(ok)
    assert.matches('sinks%[1%]: dialect: expected "posix", "docker" or "systemd", got "csh"', why)
  end)
end)

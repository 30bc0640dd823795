-- Tests csrc/base/secret.c, csrc/base/encode.c, csrc/lua/secret_make.c, csrc/lua/secret_type.c,
-- csrc/process/terminal.c.

local core = require "crdbcloud.core"
local native = require "spec.support.native"
local temp = require "spec.support.temp"

-- The message of a call that must raise.
local function message_of(f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok)
  return message
end

describe("a secret", function()
  it("says how long it is and nothing else", function()
    local secret = core.secret "correct horse battery"
    assert.equal("<secret 21 bytes>", tostring(secret))
    assert.equal(21, #secret)
    assert.equal("crdbcloud.secret", getmetatable(secret))
  end)

  it("gives its bytes by reveal alone, any bytes", function()
    for _, bytes in ipairs { "", "x", "a\0b", ("\255\n"):rep(5000) } do
      assert.equal(bytes, core.secret(bytes):reveal())
      assert.equal(#bytes, #core.secret(bytes))
    end
  end)

  it("equals the same bytes, as a string or a secret", function()
    local secret = core.secret "abc"
    assert.is_true(secret:equals "abc")
    assert.is_true(secret:equals(core.secret "abc"))
    assert.is_true(secret == core.secret "abc")
    for _, other in ipairs { "", "ab", "abd", "abcd", "abc\0" } do
      assert.is_false(secret:equals(other))
      assert.is_false(secret == core.secret(other))
    end
    assert.is_true(core.secret "":equals "")
  end)

  it("does not join with text and names what to write instead", function()
    local secret = core.secret "s3cr3t-bytes"
    for _, join in ipairs { function() return "x" .. secret end, function() return secret .. "x" end,
      function() return secret .. secret end } do
      local message = message_of(join)
      assert.matches("reveal%(%)", message)
      assert.matches("secret_join", message)
      assert.matches("secret_spec%.lua:%d", message)
      assert.is_nil(message:find "s3cr3t")
    end
  end)

  it("is refused by a JSON encoder", function()
    assert.is_false(pcall(require "cjson".encode, { password = core.secret "abc" }))
  end)

  it("is spelt for the places that take it", function()
    local cases = {
      json = { ['a"b\\c'] = 'a\\"b\\\\c', ["\n\0\31"] = "\\u000a\\u0000\\u001f", ["é/"] = "é/", [""] = "" },
      uri = { ["aZ09-._~"] = "aZ09-._~", ["a b:/@%"] = "a%20b%3A%2F%40%25", ["\255"] = "%FF" },
      pgpass = { ["a:b\\c"] = "a\\:b\\\\c", plain = "plain" },
      base64 = { [""] = "", f = "Zg==", fo = "Zm8=", foo = "Zm9v", foob = "Zm9vYg==", ["\255\254\253"] = "//79" },
      hex = { ["\0\15\240\255"] = "000ff0ff" },
    }
    for form, pairs_of in pairs(cases) do
      for bytes, expected in pairs(pairs_of) do
        local encoded = core.secret(bytes):encode(form)
        assert.is_true(core.is_secret(encoded))
        assert.equal(expected, encoded:reveal())
      end
    end
  end)

  it("is not spelt in a form that nobody reads", function()
    assert.matches("form: expected json, uri, pgpass, base64 or hex, got 'yaml'", message_of(core.secret "a".encode, core.secret "a", "yaml"))
    for _, bytes in ipairs { "a\nb", "a\r", "\0" } do
      local secret = core.secret(bytes)
      assert.matches("line break or a NUL", message_of(secret.encode, secret, "pgpass"))
    end
  end)

  it("is closed once and for all", function()
    local secret = core.secret "abc"
    local same = secret
    secret:close()
    secret:close()
    assert.equal("<secret (closed)>", tostring(same))
    assert.is_true(core.is_secret(secret))
    for _, use in ipairs {
      function() return secret:reveal() end, function() return #secret end,
      function() return secret:equals "abc" end, function() return core.secret "abc":equals(secret) end,
      function() return secret:encode "hex" end, function() return core.secret_join { secret } end,
    } do
      assert.matches("secret is closed", message_of(use))
    end
    assert.is_false(secret == core.secret "abc")
  end)

  it("joins strings and secrets into a new secret", function()
    local joined = core.secret_join { "postgresql://app:", core.secret "p%3Aw", "@host/\0" }
    assert.equal("postgresql://app:p%3Aw@host/\0", joined:reveal())
    assert.equal("", core.secret_join {}:reveal())
  end)

  it("is known among other values", function()
    assert.is_true(core.is_secret(core.secret "a"))
    for _, other in ipairs { "a", 1, true, {}, print, io.stdout } do assert.is_false(core.is_secret(other)) end
    assert.is_false(core.is_secret(nil))
  end)

  it("comes from nothing but a string, and no message shows the value", function()
    for _, wrong in ipairs { 1, true, {}, core.secret "a" } do
      assert.matches("secret: expected a string, got " .. type(wrong), message_of(core.secret, wrong))
    end
    assert.matches("secret: expected a string, got nothing", message_of(core.secret))
    assert.matches("too many arguments: expected at most 1, got 2", message_of(core.secret, "s3cr3t", "x"))
    assert.matches("secret_join: expected a string or a secret, got number", message_of(core.secret_join, { "a", 4711 }))
    assert.matches("secret_join: expected a list", message_of(core.secret_join, "a"))
    assert.matches("equals: expected a string or a secret, got number", message_of(core.secret "1".equals, core.secret "1", 1))
  end)

  it("is one of 10,000 without touching the others", function()
    local all = {}
    for i = 1, 10000 do all[i] = core.secret(("x"):rep(i % 1500) .. i) end
    for i = 1, 10000, 3 do all[i]:close() end
    for i = 1, 10000 do
      if i % 3 ~= 1 then assert(all[i]:reveal() == ("x"):rep(i % 1500) .. i) end
    end
  end)
end)

describe("memory that held a secret", function()
  teardown(temp.clean)

  it("is zero after the last release, is not inherited by children, and needs no large memlock limit", function()
    local program = native.program("wipe", { "base/secret", "base/buffer" }, "-Wl,--wrap=free")
    local output, status = temp.run(program)
    assert.equal("ok\n", output)
    assert.equal(0, status)
  end)
end)

describe("a secret after a fork", function()
  teardown(temp.clean)

  it("raises in the child, which can make its own, and stays whole in the parent", function()
    local forking = native.module("forking")
    local secret = core.secret "before the fork"
    local child = forking.fork()
    if child == 0 then
      local ok, message = pcall(secret.reveal, secret)
      local good = not ok and message:find("before a fork", 1, true) and tostring(secret) == "<secret 15 bytes>"
        and secret ~= core.secret "before the fork" and core.secret "own":reveal() == "own"
      secret:close()
      collectgarbage()
      forking.leave(good and 0 or 1)
    end
    assert.equal(0, forking.wait(child))
    assert.equal("before the fork", secret:reveal())
  end)
end)

describe("a secret from a file", function()
  local dir, path
  setup(function()
    dir = temp.dir()
    path = dir .. "/key"
  end)
  teardown(temp.clean)

  local function put(text)
    os.remove(path) -- an earlier one may be read-only
    temp.write(path, text)
    temp.run("chmod 600 " .. path)
  end

  it("loses one line end at its end and no other byte", function()
    for text, expected in pairs { ["key"] = "key", ["key\n"] = "key", ["key\r\n"] = "key", ["key\n\n"] = "key\n", [" k e \n"] = " k e " } do
      put(text)
      assert.equal(expected, core.secret_from_file(path):reveal())
    end
  end)

  it("is refused when others may read or write it, and the message says what to do", function()
    put("s3cr3t\n")
    for mode, ok in pairs { ["600"] = true, ["400"] = true, ["640"] = false, ["604"] = false, ["644"] = false, ["620"] = false, ["602"] = false } do
      temp.run(("chmod %s %s"):format(mode, path))
      local secret, message, code = core.secret_from_file(path)
      assert.equal(ok, secret ~= nil)
      if not ok then
        assert.equal("mode", code)
        assert.matches("chmod 600", message, 1, true)
        assert.is_nil(message:find "s3cr3t")
      end
    end
  end)

  it("is refused when it cannot be one", function()
    for text, expected in pairs { [""] = "empty", ["\n"] = "empty", ["a\0b"] = "nul", [("x"):rep(65537)] = "large" } do
      put(text)
      local secret, message, code = core.secret_from_file(path)
      assert.is_nil(secret)
      assert.equal(expected, code)
      assert.matches(path, message, 1, true)
    end
    assert.equal("type", select(3, core.secret_from_file(dir)))
    assert.equal("ENOENT", select(3, core.secret_from_file(dir .. "/none")))
    assert.equal("ENOTDIR", select(3, core.secret_from_file(path .. "/x")))
  end)

  it("may be of any size up to 64 KiB", function()
    put(("x"):rep(65535) .. "\n")
    assert.equal(65535, #core.secret_from_file(path))
  end)

  it("may lie behind a symbolic link, as mounted secrets of containers do, or come from a pipe", function()
    put "linked"
    temp.run(("ln -s key %s/link && mkfifo -m 600 %s/pipe"):format(dir, dir))
    assert.equal("linked", core.secret_from_file(dir .. "/link"):reveal())
    local writer = io.popen(("printf 'piped\\n' > %s/pipe"):format(dir))
    local output = temp.run(("exec 3<%s/pipe; %s"):format(dir,
      temp.lua "print(core.secret_from_file('/dev/fd/3'):reveal())"))
    writer:close()
    assert.equal("piped\n", output)
  end)

  it("needs a path", function()
    assert.matches("path: expected a path, got an empty string", message_of(core.secret_from_file, ""))
    assert.matches("path: expected a path, got a string with a NUL byte", message_of(core.secret_from_file, "a\0b"))
    assert.matches("path: expected a string, got nil", message_of(core.secret_from_file, nil))
  end)
end)

describe("a secret from the environment", function()
  it("is the variable's value; unset and empty are told apart", function()
    local code = "local s, m, c = core.secret_from_env 'THE_KEY' print(s and s:reveal() or m .. '|' .. c)"
    assert.equal("va lue\n", (temp.run("THE_KEY='va lue' " .. temp.lua(code))))
    assert.equal("environment variable THE_KEY is empty|empty\n", (temp.run("THE_KEY= " .. temp.lua(code))))
    assert.equal("environment variable THE_KEY is not set|unset\n", (temp.run(temp.lua(code))))
  end)

  it("needs the name of a variable", function()
    for _, name in ipairs { "", "A=B" } do assert.matches("name: expected the name", message_of(core.secret_from_env, name)) end
    assert.matches("name: expected one line", message_of(core.secret_from_env, "A\0B"))
  end)
end)

describe("a secret from a prompt", function()
  local pty, dir
  setup(function()
    dir = temp.dir()
    pty = native.program("pty", nil, "-lutil")
  end)
  teardown(temp.clean)

  -- Runs code on a terminal, and types input or sends a signal ("@15") once the question is shown.
  local function on_terminal(input, code)
    temp.write(dir .. "/run", "#!/bin/sh\nexec env " .. temp.lua(code))
    temp.run("chmod 700 " .. dir .. "/run")
    return (temp.run(("%s 'API key: ' %s %s/run"):format(pty, temp.quote(input), dir)))
  end

  local ask = "local s, m, c = core.secret_prompt 'API key: ' io.write('got ', s and #s or c, '\\n')"

  it("is typed without echo", function()
    local shown = on_terminal("s3cr3t key\n", ask)
    assert.matches("got 10\r?\n", shown)
    assert.is_nil(shown:find "s3cr3t")
    assert.matches("echo on\nstatus 0", shown, 1, true)
  end)

  it("is not empty", function()
    assert.matches("got empty", on_terminal("\n", ask))
    assert.matches("got empty", on_terminal("\4", ask))
  end)

  it("leaves echo on when a signal ends the program", function()
    assert.matches("echo on\nsignal 15", on_terminal("@15", ask), 1, true)
    -- Control-C goes to the interpreter's own handler, which ends the program with an error.
    assert.matches("interrupted!.*echo on\nstatus 1", on_terminal("\3", ask))
  end)

  it("returns when the signal is being counted", function()
    local shown = on_terminal("@15", "core.interrupts(true) " .. ask .. " print('signal', core.interrupted())")
    assert.matches("got EINTR", shown)
    assert.matches("signal%s+15%s+1", shown)
    assert.matches("echo on\nstatus 0", shown, 1, true)
  end)

  it("is refused without a terminal", function()
    local output = temp.run("setsid -w sh -c " .. temp.quote(temp.lua "print(core.secret_prompt 'API key: ')") .. " </dev/null")
    assert.matches("nil%s+cannot ask on /dev/tty: .*ENXIO", output)
  end)
end)

local core = require "crdbcloud.core"
local native = require "spec.support.native"
local temp = require "spec.support.temp"
local uv = require "luv"

local function message_of(f, ...)
  local ok, message = pcall(f, ...)
  assert.is_false(ok)
  return message
end

describe("a ticket", function()
  after_each(temp.clean)

  it("is random and is exchanged for the secret that was lent, once", function()
    local secret = core.secret "not a string on its way"
    local ticket, other = assert(core.lend(secret)), assert(core.lend(secret))
    assert.matches("^" .. ("%x"):rep(32) .. "$", ticket)
    assert.are_not.equal(ticket, other)
    assert.is_true(assert(core.take(ticket)):equals(secret))
    local taken, message, code = core.take(ticket)
    assert.is_nil(taken)
    assert.matches("wrong, was used, or is too old", message, 1, true)
    assert.equal("gone", code)
    assert(core.take(other))
  end)

  it("keeps the secret when the lender closes his", function()
    local secret = core.secret "kept"
    local ticket = assert(core.lend(secret))
    secret:close()
    assert.is_true(assert(core.take(ticket)):equals "kept")
  end)

  it("carries a secret of any size", function()
    for _, length in ipairs { 0, 1, 64, 5000, 100000 } do
      local text = ("x"):rep(length)
      local ticket = assert(core.lend(core.secret(text)))
      assert.is_true(assert(core.take(ticket)):equals(text))
    end
  end)

  it("that is none gives nothing", function()
    for _, text in ipairs { "", "00", ("0"):rep(32), ("0"):rep(34), ("x"):rep(32), ("\0"):rep(32) } do
      assert.same({ nil, "gone" }, { (core.take(text)), (select(3, core.take(text))) })
    end
  end)

  it("goes to other threads, whose Lua states get the secret", function()
    local dir, threads, total = temp.dir(), {}, 16
    for i = 1, total do
      local ticket = assert(core.lend(core.secret("secret of thread " .. i)))
      threads[i] = uv.new_thread(function(cpath, path, given, number)
        package.cpath = cpath
        local own = require "crdbcloud.core"
        local mine = {}
        for n = 1, 200 do -- all threads at it at once
          mine[n] = assert(own.lend(own.secret(number .. "/" .. n)))
          if n % 5 == 0 then
            for k = n - 4, n do assert(assert(own.take(mine[k])):equals(number .. "/" .. k)) end
          end
        end
        assert(own.take(given):equals("secret of thread " .. number))
        local file = assert(io.open(path, "wb"))
        file:write "right"
        file:close()
      end, package.cpath, ("%s/%d"):format(dir, i), ticket, ("%d"):format(i))
    end
    for i = 1, total do
      threads[i]:join()
      assert.equal("right", temp.read(("%s/%d"):format(dir, i)))
    end
  end)

  it("ends after a minute, has a bound on its number, and is not inherited by a forked child", function()
    local program = native.program("ticket", { "secrets/ticket", "base/secret", "base/random" })
    assert.same({ "ok\n", 0 }, { temp.run(program) })
  end)

  it("takes no mutex that a fork in another thread may hold, nor do fingerprints", function()
    local program = native.program("fork_order", { "secrets/ticket", "secrets/fingerprint", "base/secret", "base/random" },
      "-fsanitize=thread -lcrypto")
    assert.same({ "ok\n", 0 }, { temp.run("env -u LD_PRELOAD TSAN_OPTIONS=die_after_fork=0 " .. program) })
  end)

  it("is given for secrets that can be read only", function()
    local closed = core.secret "x"
    closed:close()
    assert.matches("secret: expected a secret, got string", message_of(core.lend, "text"))
    assert.matches("secret: expected a secret, got nothing", message_of(core.lend))
    assert.matches("secret is closed", message_of(core.lend, closed))
    assert.matches("ticket: expected a string, got number", message_of(core.take, 1))
    assert.matches("too many arguments", message_of(core.take, "a", "b"))
    assert.matches("too many arguments", message_of(core.lend, core.secret "x", "b"))
  end)
end)

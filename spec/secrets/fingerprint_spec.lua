local core = require "crdbcloud.core"
local nginx = require "spec.support.servers.nginx"
local temp = require "spec.support.temp"
local uv = require "luv"

describe("a fingerprint", function()
  after_each(function()
    nginx.stop_all()
    temp.clean()
  end)

  it("is the same for the same bytes, as text and as a secret, and differs for others", function()
    local print = core.fingerprint "abc"
    assert.matches("^" .. ("%x"):rep(64) .. "$", print)
    assert.equal(print, core.fingerprint(core.secret "abc"))
    for _, other in ipairs { "", "ab", "abcd", "abc\0", "\0abc" } do assert.are_not.equal(print, core.fingerprint(other)) end
    assert.equal(core.fingerprint(("x"):rep(100000)), core.fingerprint(core.secret(("x"):rep(100000))))
  end)

  it("means nothing in another process", function()
    local other = temp.run(temp.lua "io.write(core.fingerprint 'abc')")
    assert.equal(64, #other)
    assert.are_not.equal(other, core.fingerprint "abc")
  end)

  it("is the same in all threads of a process, and another one in a forked child", function()
    local dir, threads = temp.dir(), {}
    for i = 1, 8 do
      threads[i] = uv.new_thread(function(cpath, path)
        package.cpath = cpath
        local own = require "crdbcloud.core"
        for _ = 1, 500 do own.fingerprint(own.random_hex(8)) end -- all at it at once
        local file = assert(io.open(path, "wb"))
        file:write(own.fingerprint "abc")
        file:close()
      end, package.cpath, ("%s/%d"):format(dir, i))
    end
    for i = 1, 8 do
      threads[i]:join()
      assert.equal(core.fingerprint "abc", temp.read(("%s/%d"):format(dir, i)))
    end
    local web = nginx.start {
      workers = 2, init = "core = require 'crdbcloud.core' before = core.fingerprint 'abc'",
      init_worker = "own = core.fingerprint 'abc' ngx.log(ngx.NOTICE, 'OWN ', own)",
    }
    assert.equal("false true", web:run "say(before == own, own == core.fingerprint 'abc')")
    local seen = {}
    for print in web:log():gmatch "OWN (%x+)" do
      assert.is_nil(seen[print])
      seen[print] = true
    end
    web:stop()
  end)

  it("is of a string or a secret that can be read", function()
    local function message_of(...) return select(2, pcall(core.fingerprint, ...)) end
    local closed = core.secret "x"
    closed:close()
    assert.matches("secret is closed", message_of(closed))
    assert.matches("fingerprint: expected a string or a secret, got number", message_of(1))
    assert.matches("fingerprint: expected", message_of())
    assert.matches("too many arguments", message_of("a", "b"))
  end)
end)

-- Tests csrc/base/buffer.c, csrc/base/failure.c.

local native = require "spec.support.native"
local temp = require "spec.support.temp"

local SANITIZE = " -fsanitize=address,undefined -fno-sanitize-recover=undefined"

-- Used by the host for Lua 5.4, whichever interpreter runs this file: LuaJIT has no allocator of the caller's.
local SCRIPT = [[
local core = require "crdbcloud.core"
local dir = DIR
local secret = core.secret "abc"
local joined = core.secret_join { "x", secret, ("y"):rep(3000) }
assert(joined:encode "base64":equals(core.secret(joined:encode "base64":reveal())))
for _, form in ipairs { "json", "uri", "hex", "pgpass" } do secret:encode(form) end
assert(core.fingerprint(secret) == core.fingerprint "abc")
assert(#core.password(32, nil, { "abcdefghijklmnopqrstuvwxyz" }) == 32)
assert(core.take(core.lend(secret)):equals "abc" and core.password_problem(secret, "abc") == "name")
assert(core.fold_name "ÄB" == "äb")
local record = core.record_encode("{}", { a = secret, b = joined })
local meta, secrets = core.record_decode(record)
assert(meta == "{}" and secrets.b:equals(joined))
local key = core.seal_keys(core.secret(("0a"):rep(32)))[1]
local sealed = core.record_encode("{}", { a = joined }, { key = key, aad = { a = "bound" } })
assert(select(2, core.record_decode(sealed, { keys = { key }, aad = { a = "bound" } })).a:equals(joined))
assert(select(2, core.record_meta(sealed)).a == core.seal_key_id(key))
assert(joined:encode "hex":decode "hex":equals(joined))
local rest, taken = core.json_take('{"a":"1","b":"2","c":3}', { "a", "b" })
assert(rest == '{"a":null,"b":null,"c":3}' and taken.b:equals "2")
local entry = { host = "h", port = "1", database = "d", user = "u" }
assert(core.pgpass_update(secret, entry, secret))
assert(core.dotenv_update(core.secret "A=1", { key = "K", dialect = "posix", epoch = 1 }, secret))
assert(core.json_member(core.secret '{"a":{"b":1},"c":"x"}', "a") == '{"b":1}')
assert(core.run({ "cat" }, { stdin = joined, env = { A = secret }, timeout = 60 }).stdout:equals(joined))
assert(core.write_file(dir .. "/file", record))
assert(core.read_file(dir .. "/file", { private = true }):equals(record))
assert(core.secret_from_file(dir .. "/file"))
assert(core.list_dir(dir)[1] and core.stat(dir).type == "directory")
local lock = assert(core.lock(dir .. "/lock", "note"))
assert(select(3, core.lock(dir .. "/lock", "other")) == "busy")
lock:close()
assert(core.secret_from_env "PATH")
assert(tostring(secret) == "<secret 3 bytes>" and core.random_hex(8))
assert(not pcall(core.read_file, dir, { privat = true }))
]]

describe("when memory runs out", function()
  after_each(temp.clean)

  it("each function in C says so, loses nothing and leaves no file or lock open", function()
    local dir = temp.dir()
    local program = native.program("no_memory", {
      "base/secret", "base/buffer", "base/encode", "base/failure", "secrets/fingerprint", "base/random", "secrets/password",
      "base/names", "files/file", "files/durable", "files/record_file", "secrets/seal",
      "files/pgpass", "base/json_scan", "base/json_take", "http/pace", "base/clock", "base/interrupts", "files/dotenv",
      "files/dotenv_line", "process/process", "process/process_keeper", "process/process_spawn",
    }, "-Wl,--wrap=malloc,--wrap=calloc $(pkg-config --cflags --libs libcrypto libutf8proc)" .. SANITIZE)
    assert.equal("ok\n", (temp.run(program .. " " .. dir)))
  end)

  it("each function offered to Lua raises, leaks nothing and leaves the state usable", function()
    local dir = temp.dir()
    temp.run("mkdir " .. dir .. "/files")
    local host = native.program("lua_memory", nil, "-rdynamic $(pkg-config --cflags --libs lua5.4)" .. SANITIZE)
    temp.write(dir .. "/script.lua", (SCRIPT:gsub("DIR", ("%q"):format(dir .. "/files"))))
    local cpath = package.cpath:match "[^;]*/build/[^;]*":gsub("/build/.*", "/build/5.4/?.so")
    local output = temp.run(("%s %s/script.lua %s %s"):format(host, dir, temp.quote(cpath), temp.quote(package.path)))
    assert.matches("^ok after %d%d%d+ failures\n$", output)
    for _, name in ipairs { ".file.tmp", "script" } do assert.is_nil(temp.run("ls -A " .. dir .. "/files"):find(name, 1, true)) end
  end)
end)

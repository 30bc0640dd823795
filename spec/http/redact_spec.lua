local cjson = require "cjson"
local core = require "crdbcloud.core"
local raw = require "spec.support.servers.raw_server"
local sandbox = require "spec.support.sandbox"
local temp = require "spec.support.temp"

local KEY = "CCDB1_0123456789abcdefghijkl_" .. ("kE"):rep(20)

after_each(raw.stop_all)
teardown(temp.clean)

local function each(bytes, format) return (bytes:gsub(".", function(c) return format:format(c:byte()) end)) end
local function json(text) return (cjson.encode(text):sub(2, -2)) end
local function base64(bytes) return core.secret(bytes):encode("base64"):reveal() end

-- Every spelling of a text that a server may use when it quotes it.
local function spellings(text)
  return {
    ["as it is"] = text,
    ["JSON"] = json(text),
    ["JSON as Go writes it"] = (json(text):gsub("[<>&]", function(c) return ("\\u%04x"):format(c:byte()) end)),
    ["JSON, all escaped"] = each(text, "\\u%04X"),
    ["percent"] = core.secret(text):encode("uri"):reveal(),
    ["percent, all of it, lower case"] = each(text, "%%%02x"),
    ["percent with a plus for a space"] = (core.secret(text):encode("uri"):reveal():gsub("%%20", "+")),
    ["HTML"] = (text:gsub("[&<>\"']", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;" })),
    ["HTML in hexadecimal"] = each(text, "&#x%X;"),
    ["hexadecimal"] = each(text, "%02x"),
    ["HEXADECIMAL"] = each(text, "%02X"),
    ["base64"] = base64(text),
    ["base64 behind one byte"] = base64("x" .. text),
    ["base64 behind two bytes"] = base64("xy" .. text),
    ["base64 inside a text"] = base64('{"password":"' .. text .. '","more":1}'),
    ["base64 for URLs"] = (base64('{"password":"' .. text .. '"}'):gsub("+", "-"):gsub("/", "_")),
  }
end

local PASSWORDS = { "correct-horse-battery", "aB3dE6gH9jK2mN5pQ8rS1tU4vW7xY0zA", [[qu"ote\back/slash <&>'%41+ ~]], "????>>>>~~~~" }

-- What a client gives back of an error that quotes `text`, in its message and in its body.
local function echoed(quote, password, call)
  local body = ('{"code":3,"message":%s,"details":[]}'):format(cjson.encode("refused " .. quote .. " here"))
  local server = raw.start({}, raw.answer(400, body))
  local client = assert(core.client { base_url = server.url, api_key = KEY, timeout = 60 })
  local result = call and call(client) or client:update_sql_user_password("c", "app", password)
  server:stop()
  return result
end

describe("an answer that quotes the password", function()
  for number, password in ipairs(PASSWORDS) do
    for form, quote in pairs(spellings(password)) do
      it(("is cleaned: password %d, %s"):format(number, form), function()
        local result = echoed(quote, core.secret(password))
        assert.equal("rejected", result.outcome)
        if form:find "base64" then
          -- A few bits at both ends may belong to the neighbours; the digits of the password are gone.
          assert.matches("^refused [%w+/=_-]*<redacted>[%w+/=_-]* here$", result.message)
        else
          assert.equal("refused <redacted> here", result.message)
        end
        assert.equal(result.message, cjson.decode(result.body).message)
        for other, spelling in pairs(spellings(password)) do
          if not other:find "base64" then
            assert.is_nil(result.body:find(spelling, 1, true), other)
            assert.is_nil(result.message:find(spelling, 1, true), other)
          end
        end
      end)
    end
  end

  it("is given up as a whole where the password is escaped again and again", function()
    local password, escaped = PASSWORDS[3], json(PASSWORDS[3])
    for level = 2, 7 do
      escaped = json(escaped)
      local result = echoed('the log says: "' .. escaped .. '"', password)
      assert.same({ level, "<redacted>", '"<redacted>"' }, { level, result.message, result.body })
      assert.equal("rejected", result.outcome)
    end
    local harmless = json(json(json [[qu"ote\back/slash <&>'%41+ -, which is another]]))
    assert.equal("refused " .. harmless .. " here", echoed(harmless, password).message)
    assert.equal([[refused \ \x \u12 \ud800 \"]] .. " here", echoed([[\ \x \u12 \ud800 \"]], password).message)
  end)

  it("is not given in part where it breaks the JSON around it", function()
    for password, quote in pairs { [ [[Zq7Kx\Wm9Tr-and-more]] ] = [[Zq7Kx\Wm9Tr-and-more]], ["Zq7Kx\\u12-and-more"] = "Zq7Kx\\u12-and-more" } do
      for _, form in ipairs { '{"code":3,"message":"bad value: %s"}', '{"code":3,"message":"bad","details":[{"detail":"value: %s"}]}' } do
        local server = raw.start({}, raw.answer(400, (form:gsub("%%s", function() return quote end))))
        local client = assert(core.client { base_url = server.url, api_key = KEY, timeout = 60 })
        local result = client:update_sql_user_password("c", "app", core.secret(password))
        server:stop()
        assert.is_nil((result.message or ""):find("Zq7", 1, true), result.message)
        assert.is_nil((result.body or ""):find("Zq7", 1, true), result.body)
      end
    end
  end)

  it("is cleaned in each place", function()
    local password = "correct-horse-battery"
    local result = echoed(password .. password .. " and " .. password, password)
    assert.equal("refused <redacted><redacted> and <redacted> here", result.message)
  end)

  it("is cleaned where it stands as a number", function()
    local server = raw.start({}, raw.answer(400, '{"code":3,"message":"no","details":[],"x":123456789012}'))
    local client = assert(core.client { base_url = server.url, api_key = KEY })
    local result = client:update_sql_user_password("c", "app", "123456789012")
    assert.equal('{"code":3,"message":"no","details":[],"x":<redacted>}', result.body)
  end)

  it("keeps what only looks like it", function()
    local result = echoed("correct-horse-batter correct-horse-batterx", "correct-horse-battery")
    assert.equal("refused correct-horse-batter correct-horse-batterx here", result.message)
  end)

  it("is cleaned also when the password is short", function()
    assert.equal("refused <redacted> here", echoed("zq", "zq").message)
    assert.equal("refused <redacted> here", echoed("%7A%71", "zq").message)
  end)

  it("is cleaned after a create and a request", function()
    local quote = "a correct-horse-battery b"
    for _, call in ipairs {
      function(c) return c:create_sql_user("c", "app", "correct-horse-battery") end,
      function(c) return c:request("POST", "/x", { body = '{"name":"app", "password" : "correct-horse\\u002dbattery"}' }) end,
      function(c) return c:request("POST", "/x", { body = core.secret '{"password":"correct-horse-battery"}' }) end,
    } do
      assert.equal("refused a <redacted> b here", echoed(quote, nil, call).message)
    end
  end)

  it("is cleaned when it says 200", function()
    local server = raw.start({}, raw.answer(200, '{"name":"app","note":"correct-horse-battery"}'))
    local client = assert(core.client { base_url = server.url, api_key = KEY })
    local result = client:update_sql_user_password("c", "app", "correct-horse-battery")
    assert.equal("applied", result.outcome)
    assert.equal('{"name":"app","note":"<redacted>"}', result.body)
  end)

  it("is not given when it may end in the middle of it", function()
    for _, body in ipairs { '{"message":"no: correct-horse-bat', "<html>correct-horse-bat" } do
      local server = raw.start({}, raw.answer(400, body, { type = body:find "html" and "text/html" or nil }))
      local client = assert(core.client { base_url = server.url, api_key = KEY })
      local result = client:update_sql_user_password("c", "app", "correct-horse-battery")
      assert.is_nil(result.body)
      assert.is_nil(result.message:find "correct")
      assert.truthy(client:list_sql_users("c").body)
      server:stop()
    end
  end)

  it("comes from the sandbox too", function()
    local s = sandbox.shared()
    s:clear()
    s:fault { op = "update_sql_user_password", what = "echo_password", count = 1 }
    local client = assert(core.client { base_url = s.url, ca_file = s.ca_file, api_key = core.secret_from_file(s.key_file) })
    local result = client:update_sql_user_password(s.cluster_id, "legacy_report", [[echo"ed\password 1]])
    s:clear()
    assert.matches("<redacted>", result.body)
    assert.is_nil(result.body:find("password 1", 1, true))
    assert.is_nil((result.message or ""):find("password 1", 1, true))
  end)
end)

describe("an error that quotes the API key", function()
  for form, quote in pairs(spellings(KEY)) do
    it("is cleaned: " .. form, function()
      local result = echoed(quote, nil, function(c) return c:list_sql_users "c" end)
      assert.matches("<redacted>", result.message)
      for _, text in ipairs { result.message, result.body } do
        assert.is_nil(text:find(KEY:sub(-40), 1, true))
        assert.is_nil(text:find(quote, 1, true))
      end
    end)
  end

  it("is cleaned as well when it is no error", function()
    for _, status in ipairs { 200, 201 } do
      local server = raw.start({}, raw.answer(status, ('{"users":[{"name":"app","seen":"Bearer %s"}]}'):format(KEY)))
      local client = assert(core.client { base_url = server.url, api_key = KEY })
      local result = client:list_sql_users "c"
      assert.equal("applied", result.outcome)
      assert.equal('{"users":[{"name":"app","seen":"Bearer <redacted>"}]}', result.body)
      server:stop()
    end
  end)
end)

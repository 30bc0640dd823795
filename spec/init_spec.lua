local account = require "spec.support.account"

describe("require \"crdbcloud\"", function()
  it("touches no file, environment, clock or network, and makes no global", function()
    local output = account.run [[
      local touched = {}
      local function watch(library, name)
        local original = library[name]
        library[name] = function(...)
          touched[#touched + 1] = name
          return original(...)
        end
      end
      for _, name in ipairs { "open", "popen", "lines", "tmpfile", "input", "output", "read" } do watch(io, name) end
      for _, name in ipairs { "getenv", "tmpname", "execute", "time", "clock", "date", "remove", "rename" } do watch(os, name) end
      local before = {}
      for name in pairs(_G) do before[name] = true end
      local crdbcloud = require "crdbcloud"
      for name in pairs(package.loaded) do
        if name:find "^crdbcloud%." then touched[#touched + 1] = "loaded " .. name end
      end
      -- each part, once it is asked for
      for _, field in ipairs { "new", "secret", "password", "names", "errors", "store", "credentials", "main", "version", "core" } do
        assert(crdbcloud[field] ~= nil, field)
      end
      for _, name in ipairs { "api.find", "api.lists", "api.exchange", "api.retry", "api.pages" } do require("crdbcloud." .. name) end
      for name in pairs(_G) do
        if not before[name] then touched[#touched + 1] = "global " .. name end
      end
      print(#touched == 0 and "clean" or table.concat(touched, ", "))
    ]]
    assert.equal("clean\n", output)
  end)

  it("knows its parts and answers nil for others", function()
    local crdbcloud = require "crdbcloud"
    assert.is_nil(crdbcloud.nwe)
    assert.is_function(crdbcloud.new)
    assert.is_function(crdbcloud.main)
    assert.is_function(crdbcloud.credentials)
    assert.is_function(crdbcloud.password.generate)
    assert.is_function(crdbcloud.password.check)
    assert.is_function(crdbcloud.names.check)
    assert.is_function(crdbcloud.core.client)
    assert.is_function(crdbcloud.errors.is)
    assert.is_table(crdbcloud.store)
    assert.is_table(crdbcloud.sql)
    assert.is_table(crdbcloud.privileges)
    assert.equal(require "crdbcloud.version", crdbcloud.version)
    assert.equal(crdbcloud.version, crdbcloud.core.version)
  end)

  it("loads a part only once", function()
    local crdbcloud = require "crdbcloud"
    assert.equal(crdbcloud.names, crdbcloud.names)
    assert.equal(crdbcloud.names, rawget(crdbcloud, "names"))
  end)
end)

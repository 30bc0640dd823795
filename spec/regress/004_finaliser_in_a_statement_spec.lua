--- A finaliser that closed the connection while its rows were being made into tables took the rows away.

local pq = require "crdbcloud.pq"
local postgres = require "spec.support.servers.postgres".shared()

local newproxy = rawget(_G, "newproxy") -- LuaJIT's way; in Lua 5.4 tables have finalisers

describe("a finaliser that closes the connection in the middle of a statement", function()
  it("leaves the rows whole", function()
    local conn, leave
    local on, within, closed = true, false, 0
    local function finaliser()
      if not on then return end
      leave()
      if not within then return end
      conn:close()
      closed = closed + 1
    end
    function leave()
      if newproxy then getmetatable(newproxy(true)).__gc = finaliser else setmetatable({}, { __gc = finaliser }) end
    end
    local pause, multiplier = collectgarbage("setpause", 0), collectgarbage("setstepmul", 10000)
    leave()
    -- How soon a collection ends depends on what other specs have left; so until it has.
    for _ = 1, 400 do
      conn = assert(pq.connect(postgres:params()))
      within = true
      local ok, rows = pcall(conn.query, conn,
        "SELECT repeat(chr(65 + i % 26), 300) AS letters FROM generate_series(1, 200) i WHERE i > $1", { "0" })
      within = false
      if ok then
        assert.equal(200, #rows)
        for i, row in ipairs(rows) do assert.equal((string.char(65 + i % 26)):rep(300), row.letters) end
      else
        assert.matches("connection is closed", rows, 1, true)
      end
      conn:close()
      if closed > 2 then break end
    end
    on = false
    collectgarbage("setpause", pause)
    collectgarbage("setstepmul", multiplier)
    assert.is_true(closed > 0)
  end)
end)

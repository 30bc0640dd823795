local assumptions = require "crdbcloud.workflows.assumptions"
local errors = require "crdbcloud.errors"
local service = require "spec.support.cockroach.service"

local function nothing() end

-- Result and what was seen, by assumption.
local function try(w)
  local rows, err = assumptions.try(w, "cockroachdb", nothing)
  local found = {}
  for _, row in ipairs(rows) do found[row.assumption] = row end
  return found, err, rows
end

for _, version in ipairs { "22.2.3", "23.1.29", "24.1.7", "25.3.0", "26.1.0" } do
  describe("the assumptions on the model of CockroachDB " .. version, function()
    it("hold", function()
      local _, err, rows = try(service.world(version))
      assert.is_nil(err)
      assert.equal(#assumptions.TABLE, #rows)
      for _, row in ipairs(rows) do
        assert.equal("as expected", row.result, ("%s: saw %s, %s"):format(row.assumption, row.seen, tostring(row.detail)))
      end
    end)

    for _, assumption in ipairs(assumptions.TABLE) do
      local id = assumption.id
      it(("turned round: %s is noticed"):format(id), function()
        local w = service.world(version)
        -- A server that does not know the statement shows nothing that could be turned round.
        if id == "implied_defaults" and version == "22.2.3" then return end
        w.turns[id]()
        local found = try(w)
        assert.equal("unexpected", found[id].result, ("saw %s"):format(found[id].seen))
      end)
    end
  end)
end

describe("the table of assumptions", function()
  it("has a turn for each, and no two of one name", function()
    local turns, seen = service.world("25.3.0").turns, {}
    for _, assumption in ipairs(assumptions.TABLE) do
      assert.is_function(turns[assumption.id], assumption.id)
      assert.is_nil(seen[assumption.id])
      seen[assumption.id] = true
    end
    for id in pairs(turns) do assert.is_true(seen[id], id) end
  end)

  it("asks PostgreSQL for what it knows only", function()
    local asked = {}
    for _, assumption in ipairs(assumptions.TABLE) do
      asked[assumption.id] = assumptions.expected(assumption, "postgresql") ~= nil
    end
    assert.same({ false, false, true }, { asked.columns_users, asked.implied_defaults, asked.made_admin })
  end)

  it("waits for what takes a moment, and says how long it took", function()
    local w = service.world "25.3.0"
    local login, from = w.login, w.now() + 5
    w.login = function(given)
      if w.now() >= from then return login(given) end
      return "wrong_password", errors.new { kind = "sql", sqlstate = "28P01", message = "password authentication failed" }
    end
    local found = try(w)
    assert.equal("as expected", found.first_login.result)
    assert.is_true(found.first_login.seconds >= 5)
  end)

  it("know every form of a list's end, on the last of its pages", function()
    local forms = {
      ["no pagination"] = '{"users":[]}', ["pagination null"] = '{"users":[],"pagination":null}', ["no next_page"] = '{"pagination":{}}',
      ["next_page null"] = '{"pagination":{"next_page":null}}', ["next_page empty"] = '{"pagination":{"next_page":""}}',
    }
    for seen, body in pairs(forms) do
      local w = service.world "25.3.0"
      w.page = function(query)
        if query["pagination.limit"] == "501" then return { status = 400, code = 3 } end
        return { status = 200, body = query["pagination.page"] == "second" and body or '{"pagination":{"next_page":"second"}}' }
      end
      local found = try(w)
      assert.same({ seen, "as expected", "page 2" }, { found.list_end.seen, found.list_end.result, found.list_end.detail })
    end
  end)

  it("says ? for what could not be looked at, which is not as expected", function()
    local w = service.world "25.3.0"
    w.login = function() return "network", errors.new { kind = "network", message = "no route" } end
    local found = try(w)
    assert.same({ "?", "unexpected" }, { found.first_login.seen, found.first_login.result })
    assert.truthy(found.first_login.detail:find("no route", 1, true))
  end)

  it("ends where no user is made", function()
    local w = service.world "25.3.0"
    w.turns.created()
    local found, err, rows = try(w)
    assert.equal("created", rows[#rows].assumption)
    assert.equal("400 code 9", found.created.seen)
    assert.truthy(err)
  end)

  it("ends where the caller says so", function()
    local rows, err = assumptions.try(service.world "25.3.0", "cockroachdb", function(row)
      return row.assumption == "listed" and "enough" or nil
    end)
    assert.same({ "listed", "enough" }, { rows[#rows].assumption, err })
  end)
end)

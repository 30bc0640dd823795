-- Tests lua/crdbcloud/change/again.lua: the same creation once more.

local again = require "crdbcloud.change.again"
local core = require "crdbcloud.core"
local scene = require "spec.support.scene"
local temp = require "spec.support.temp"

describe("what the same creation again makes of what it sees", function()
  local ADMIN = { reason = "is_admin", text = "is an admin" }
  for _, case in ipairs {
    -- seen -> problem, mend access, mend sinks, items that are not "as asked"
    { {}, nil, false, 0, {} },
    { { missing = { "SELECT on x" } }, nil, true, 0, { access = "mended" } },
    { { holds = false }, nil, false, 1, { sinks = "mended" } },
    { { holds = "?" }, nil, false, 0, { sinks = "?" } },
    { { verdict = "network" }, nil, false, 0, { password = "?" } },
    { { verdict = "wrong_password", holds = false }, "wrong_password", false, 0,
      { password = "the password of the store does not log in: somebody else has set another", sinks = "does not hold it" } },
    { { finding = ADMIN }, "is_admin", false, 0, { admin = "is an admin" } },
    { { finding = ADMIN, missing = { "SELECT on x" }, holds = false }, "is_admin", false, 0,
      { admin = "is an admin", access = "lacks SELECT on x", sinks = "does not hold it" } },
    { { finding = { reason = "made_anew", text = "was made again" }, verdict = "wrong_password" }, "made_anew", false, 0,
      { existence = "was made again", password = "the password of the store does not log in: somebody else has set another" } },
    { { finding = { reason = "no_login", text = "may not log in" }, verdict = "no_login" }, "no_login", false, 0,
      { login = "may not log in", password = "?" } },
    { { disabled = true, verdict = "no_login" }, "disabled", false, 0, { login = "taken away by disable_user", password = "?" } },
  } do
    local given, words = case[1], {}
    for name, text in pairs(case[5]) do words[#words + 1] = name .. " " .. text end
    table.sort(words)
    it("says " .. (#words > 0 and table.concat(words, "; ") or "that all of it is as asked"), function()
      local holds = given.holds
      if holds == nil then holds = true elseif holds == "?" then holds = nil end
      local items, problem, mend = again.judge {
        finding = given.finding, disabled = given.disabled, missing = given.missing or {}, verdict = given.verdict or "accepted",
        sinks = { { name = "s", holds = holds } },
      }
      assert.same({ case[2], case[3], case[4] }, { problem and problem.reason, mend.access, #mend.sinks })
      items.sinks = items.sinks.s
      local other = {}
      for name, text in pairs(items) do
        if text ~= "as asked" then other[name] = text end
      end
      assert.same(case[5], other)
      assert.equal("s", problem and "s" or next(mend.sinks) and mend.sinks[1] or "s")
    end)
  end
end)

describe("the same creation again, on a real server", function()
  local POST, PUT = "create_sql_user", "update_sql_user_password"
  local sc, name, wanted

  before_each(function()
    sc = scene.open { timeout = 2, max_attempts = 2 }
    name = "spec_" .. core.random_hex(6)
    wanted = {
      name = name, access = { database = "shop", tables = { "orders" }, privileges = { "SELECT", "INSERT" } },
      sinks = { "json:" .. sc.dir .. "/a.json", "file:" .. sc.dir .. "/a.txt", "pgpass:" .. sc.dir .. "/pgpass",
        { "dotenv", path = sc.dir .. "/a.env" }, { "kubernetes", name = "app", path = sc.dir .. "/a.secret" }, "command:true" },
    }
    assert(sc.cluster:create_app_user(wanted))
    sc.sandbox:clear()
  end)
  after_each(function()
    sc:close()
    temp.clean()
  end)

  local function psql(text) sc.sandbox:psql((text:gsub("@", name))) end

  it("says item by item that all is as asked, by a login of now", function()
    local row = assert(sc.cluster:create_app_user(wanted)).rows[1]
    assert.same({ "unchanged", "accepted" }, { row.note, row.verified })
    local sinks = row.proof.sinks
    row.proof.sinks = nil
    assert.same({ existence = "as asked", admin = "as asked", login = "as asked", access = "as asked", password = "as asked" }, row.proof)
    for sink, text in pairs(sinks) do assert.equal(sink:find "^command" and "?" or "as asked", text, sink) end
    assert.equal(0, #sc:requests(POST) + #sc:requests(PUT))
  end)

  it("gives access again that was taken away, and writes sinks that are gone or changed", function()
    psql "REVOKE INSERT ON orders FROM @"
    for _, path in ipairs { "a.json", "a.txt", "pgpass", "a.env", "a.secret" } do assert(os.remove(sc.dir .. "/" .. path)) end
    local planned = wanted
    planned.dry_run = true
    assert.equal("change", assert(sc.cluster:create_app_user(planned)).rows[1].result)
    assert.is_nil(io.open(sc.dir .. "/a.json"))
    planned.dry_run = nil
    local row = assert(sc.cluster:create_app_user(wanted)).rows[1]
    assert.matches("mended: access, json:", row.note, 1, true)
    assert.same({ "mended", "mended" }, { row.proof.access, row.proof.sinks["json:" .. sc.dir .. "/a.json"] })
    row = assert(sc.cluster:create_app_user(wanted)).rows[1]
    assert.equal("unchanged", row.note)
    temp.write(sc.dir .. "/a.txt", "another-Password-1")
    row = assert(sc.cluster:create_app_user(wanted)).rows[1]
    assert.equal("mended: file:" .. sc.dir .. "/a.txt", row.note)
    assert.equal("accepted", sc:login(name, temp.read(sc.dir .. "/a.txt")))
    assert.equal(0, #sc:requests(POST) + #sc:requests(PUT))
  end)

  for what, case in pairs {
    ["an admin"] = { "is_admin", "admin", "GRANT admin TO @" },
    ["an admin through a role"] = { "is_admin", "admin", "CREATE ROLE @_a; GRANT admin TO @_a; GRANT @_a TO @" },
    ["one that makes roles"] = { "has_power", "admin", "ALTER ROLE @ CREATEROLE" },
    ["another user of its name"] = { "made_anew", "existence", "DROP OWNED BY @; DROP ROLE @; CREATE ROLE @ LOGIN PASSWORD 'x-Another-1'" },
    ["a user with another password"] = { "wrong_password", "password", "ALTER ROLE @ PASSWORD 'x-Another-1'" },
  } do
    it(("does not pass over %s, changes nothing, and takes it over with adopt"):format(what), function()
      psql(case[3])
      os.remove(sc.dir .. "/a.json")
      local report, err = sc.cluster:create_app_user(wanted)
      assert.is_nil(report)
      local row = err.report.rows[1]
      assert.same({ 1, "not_sent", case[1] }, { err.exit, err.outcome, row.reason })
      assert.are_not.equal("as asked", row.proof[case[2]])
      assert.is_nil(io.open(sc.dir .. "/a.json"))
      wanted.adopt = true
      row = assert(sc.cluster:create_app_user(wanted)).rows[1]
      assert.same({ "adopted", "accepted" }, { row.note, row.verified })
      wanted.adopt = nil
      assert.equal("unchanged", assert(sc.cluster:create_app_user(wanted)).rows[1].note)
    end)
  end

  it("does not pass over a user that may not log in, whoever took the login away", function()
    psql "ALTER ROLE @ NOLOGIN"
    local _, err = sc.cluster:create_app_user(wanted)
    assert.same({ 1, "no_login" }, { err.exit, err.report.rows[1].reason })
    psql "ALTER ROLE @ LOGIN"
    assert(sc.cluster:disable_user(name))
    _, err = sc.cluster:create_app_user(wanted)
    assert.same({ 1, "disabled" }, { err.exit, err.report.rows[1].reason })
    assert(sc.cluster:enable_user(name))
    assert(sc.cluster:create_app_user(wanted))
  end)

  it("looks at both users of a pair and at its role, and writes its sinks again with the next epoch", function()
    local p = require("spec.support.pair").open()
    assert(p:create())
    assert(p.cluster:rotate_password(p.name))
    p:assert_published(p.partner, 2)
    p.scene.sandbox:psql(("REVOKE SELECT ON orders FROM %s_role; REVOKE %s_role FROM %s"):format(p.name, p.name, p.name))
    assert(os.remove(p.file))
    local row = assert(p:create()).rows[1]
    assert.equal("mended: access, json:" .. p.file, row.note)
    p:assert_published(p.partner, 3)
    assert.equal("unchanged", assert(p:create()).rows[1].note)
    p.scene.sandbox:psql(("GRANT admin TO %s"):format(p.partner))
    local _, err = p:create()
    assert.same({ 1, "is_admin" }, { err.exit, err.report.rows[1].reason })
    p.scene.sandbox:psql(("REVOKE admin FROM %s; GRANT admin TO %s"):format(p.partner, p.name))
    p:rest()
    _, err = p.cluster:rotate_passwords { users = "managed" }
    assert.same({ 3, "refused" }, { err.exit, err.report.rows[1].result })
    p:close()
  end)

  it("keeps the server's number of a user whose record has none, and finds it made anew from then on", function()
    local rec, version = sc:record(name)
    rec.role_id = nil
    sc:put(rec, version)
    assert(sc.cluster:create_app_user(wanted))
    assert.is_string(sc:record(name).role_id)
  end)
end)

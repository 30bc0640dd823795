local core = require "crdbcloud.core"
local record = require "crdbcloud.record"
local selection = require "crdbcloud.run.selection"

local NOW = 1000000000
local DAY = 86400

local function rec(fields)
  local r = record.new {
    cluster_id = "c", user = "app", state = "idle", epoch = 1,
    current = { epoch = 1, password = core.secret "pw-pw-pw-pw-pw", set_at = NOW - 100 * DAY },
  }
  for k, v in pairs(fields or {}) do r[k] = v end
  return r
end

describe("whether a user is rotated", function()
  for _, case in ipairs {
    { "asked for by name", { named = true, listed = true }, "rotate", "asked for" },
    { "excluded wins over being named", { named = true, excluded = true, listed = true }, "skip", "excluded" },
    { "a protected name", { user = "root", named = true, listed = true }, "skip", "protected" },
    { "a protected prefix", { user = "pg_read_all_data", listed = true }, "skip", "protected" },
    { "an SSO user among all", { user = "sso_anna", listed = true }, "skip", "signs in by SSO" },
    { "an SSO user by name", { user = "sso_anna", named = true, listed = true }, "rotate", "asked for" },
    { "our own account among all", { own = true, listed = true }, "skip", "used by the SQL connection or the store itself" },
    { "our own account by name", { own = true, named = true, listed = true }, "rotate", "asked for" },
    { "no record where managed is asked for", { managed_only = true, listed = true }, "skip", "has no record" },
    { "not on the cluster", { named = true, listed = false }, "blocked", "no such user on the cluster" },
    { "being created", { listed = true, rec = rec { state = "posted", creating = true } }, "blocked",
      "is being created; `resume` finishes it" },
    { "gone and made again", { listed = true, rec = rec { flags = { gone = true } } }, "blocked",
      "was deleted and made again by somebody else" },
    { "half done", { listed = true, rec = rec { state = "promoted" } }, "resume", "a rotation is half done" },
    { "half done, though young", { listed = true, max_age = 365 * DAY, rec = rec { state = "promoted" } }, "resume",
      "a rotation is half done" },
    { "old enough", { listed = true, max_age = 90 * DAY, rec = rec() }, "rotate", "due" },
    { "too young", { listed = true, max_age = 101 * DAY, rec = rec() }, "skip", "changed 100d ago" },
    { "young, but the cluster was restored since", { listed = true, max_age = 365 * DAY, restored_at = NOW - DAY, rec = rec() },
      "rotate", "the cluster was restored from a backup since" },
    { "restored before the password was set", { listed = true, max_age = 365 * DAY, restored_at = NOW - 200 * DAY, rec = rec() },
      "skip", "changed 100d ago" },
    { "made again by somebody else", { listed = true, made_again_at = NOW - DAY, rec = rec() }, "blocked",
      "was made again by somebody else since, says the audit log" },
    { "made before our record was", { listed = true, made_again_at = NOW - 200 * DAY, rec = rec() }, "rotate", "asked for" },
    { "of unknown age", { listed = true, max_age = 90 * DAY }, "rotate", "age unknown, counts as due" },
    { "set a moment ahead of our clock", { listed = true, max_age = DAY,
      rec = rec { current = { epoch = 1, set_at = NOW + 30 } } }, "skip", "changed 0s ago" },
    { "set in the future (a clock was ahead)", { listed = true, max_age = DAY,
      rec = rec { current = { epoch = 1, set_at = NOW + 400 * DAY } } }, "rotate", "set in the future, by a clock that was wrong; counts as due" },
  } do
    it(("%s: %s"):format(case[1], case[3]), function()
      local o = { user = "app", now = NOW, named = false, excluded = false, own = false, managed_only = false }
      for k, v in pairs(case[2]) do o[k] = v end
      assert.are.same({ case[3], case[4] }, { selection.decide(o) })
    end)
  end
end)

describe("the users of a call", function()
  for _, case in ipairs {
    { nil, 'rotate: users is missing: a name, a list of names, "managed", "all", or a function' },
    { 7, 'rotate: users must be a name, a list of names, "managed", "all", or a function, got 7' },
    { {}, "rotate: users is an empty list or has fields that are no names" },
    { { "a", 7 }, "rotate: users[2] must be a name, got 7" },
    { { "a", name = "b" }, "rotate: users is an empty list or has fields that are no names" },
  } do
    it("raise: " .. case[2], function()
      local ok, err = pcall(selection.check_users, case[1], "rotate")
      assert.is_false(ok)
      assert.are.equal(case[2], (err:gsub("^.-:%d+: ", "")))
    end)
  end

  it("may be one name", function()
    assert.are.same({ "app" }, selection.check_users("app", "rotate"))
  end)
end)

--- The words of a refusal decide whether a password is taken for the one in force. A user's short name made them
--- unreadable, and a rule about the user's name was taken for one about the password in force.

local core = require "crdbcloud.core"
local raw = require "spec.support.servers.raw_server"
local temp = require "spec.support.temp"

after_each(raw.stop_all)
teardown(temp.clean)

-- user, status, message, reason
local REFUSALS = {
  { "e", 400, "The new password must differ from the current one.", "must_differ" },
  { "m", 400, "user m: must differ from the current password", "must_differ" },
  { "o", 409, "cluster lock is held", "locked" },
  { "as", 400, "password is too weak", "password_refused" },
  { "password_service", 400, "user password_service cannot change", "invalid_argument" },
  { "password", 400, "user 'password' cannot change.", "invalid_argument" },
  { "app", 400, "password and username cannot be the same", "password_refused" },
  { "app", 400, "The password must be different from the user name.", "password_refused" },
}

describe("the text of a refusal", function()
  for _, row in ipairs(REFUSALS) do
    local user, status, message, reason = (table.unpack or unpack)(row)
    it(("for user %q says %s: %s"):format(user, reason, message), function()
      local server = raw.start({}, raw.answer(status, ('{"code":3,"message":"%s"}'):format(message)))
      local client = assert(core.client { base_url = server.url, api_key = ("k"):rep(40), timeout = 5 })
      local result = client:update_sql_user_password("cluster", user, "correct-horse-battery")
      client:close()
      assert.equal("rejected", result.outcome)
      assert.equal(reason, result.reason)
    end)
  end
end)

-- Tests lua/crdbcloud/help/render.lua.

local crdbcloud = require "crdbcloud"
local errors = require "crdbcloud.errors"
local help = require "crdbcloud.help"
local reference = require "crdbcloud.reference"

describe("help", function()
  local cloud = assert(crdbcloud.new { api_key = "CCDB1_x_y" })
  local cluster = assert(cloud:cluster("prod-eu", { store = "memory:" }))

  local function shows(words, topic)
    local text = help.text(topic, 100)
    if not text:find(words, 1, true) then error(("expected %q in:\n%s"):format(words, text), 2) end
  end

  it("prints, returns nothing, and is the text of itself", function()
    local printed, original = {}, print
    rawset(_G, "print", function(text) printed[#printed + 1] = text end)
    local count = select("#", help "resume")
    rawset(_G, "print", original)
    assert.equal(0, count)
    assert.same({ (help.text "resume") }, printed)
    assert.equal((help.text()), tostring(help))
    assert.equal(help, crdbcloud.help)
  end)

  it("knows every call by its name, its path, and as a function", function()
    reference.each(function(entry, chapter)
      assert.is_true(select(2, help.text(entry.name)), entry.name)
      if not chapter.module then
        local text = help.text(entry.path, 500)
        assert.equal(reference.signature(entry), text:match "^[^\n]*", entry.path)
        assert.truthy(text:find(entry.summary, 1, true))
        assert.is_true(help.text((entry.path:gsub(":", "."))) == help.text(entry.path), entry.path)
      end
    end)
    for _, case in ipairs {
      { cloud.list_sql_users, "cloud:list_sql_users(cluster_id" }, { cluster.list_sql_users, "cluster:list_sql_users{" },
      { cluster.rotate_passwords, "cluster:rotate_passwords{" }, { crdbcloud.new, "crdbcloud.new{" },
      { crdbcloud.password.generate, "crdbcloud.password.generate{" }, { crdbcloud.store.open, "crdbcloud.store.open(url" },
      { crdbcloud.secret("x").reveal, "secret:reveal()" }, { crdbcloud.credentials, "crdbcloud.credentials{" },
    } do
      assert.equal(case[2], help.text(case[1], 200):sub(1, #case[2]))
    end
  end)

  it("knows objects, parts and options", function()
    shows("cloud:find_cluster", cloud)
    shows("cluster:create_app_user", cluster)
    shows("secret:reveal", crdbcloud.secret "x")
    shows("crdbcloud.names.check", crdbcloud.names)
    shows("crdbcloud.sql.connect", crdbcloud.sql)
    shows("store:get", crdbcloud.store.open "memory:")
    shows("Workflows", crdbcloud)
    shows("option verify", "verify")
    shows("credential:url", "credential")
    shows("crdbcloud.schedule", "nginx")
    shows("crdbcloud.privileges.plan", "privileges")
  end)

  it("knows topics, exit codes and errors", function()
    for _, topic in ipairs { "access", "sinks", "durations", "errors", "exit codes", "environment" } do
      assert.is_true(select(2, help.text(topic)), topic)
    end
    shows("exit 9: the plan is stale", 9)
    shows("at the prompt: cluster:resume()", 5)
    shows("0    done, everything published; to do: nothing", "exit codes")
    shows("A duration is seconds as a number, or text:", "rotate_passwords")
    shows("there is no exit code 99", 99)
    shows("kind busy: another run holds the lock", errors.new { kind = "busy", message = "x" })
    shows("exit 7", errors.new { kind = "busy", message = "x" })
    shows("findings: something is not as", "exit codes")
  end)

  it("names the nearest for what it does not know", function()
    for typed, meant in pairs { rotat_passwords = "rotate_passwords", ["cluster:hystory"] = "history", max_aeg = "max_age", snks = "sinks" } do
      local text, known = help.text(typed)
      assert.is_false(known)
      assert.truthy(text:find(('did you mean "%s"?'):format(meant), 1, true), text)
    end
    assert.equal('no help on "zzzzzzzz"; help() lists what there is', (help.text "zzzzzzzz"))
    assert.equal("no help on this function; help() lists what there is", (help.text(print)))
    assert.equal("no help on this value; help() lists what there is", (help.text {}))
  end)

  it("takes a name as it is called", function()
    assert.equal((help.text "rotate_passwords"), (help.text "rotate_passwords{ users = 'all' }"))
    assert.equal((help.text "cluster:access"), (help.text " cluster:access('app') "))
    assert.equal((help.text "crdbcloud.secret"), (help.text "secret"))
  end)

  it("fits any width", function()
    for _, width in ipairs { 20, 40, 60, 200 } do
      reference.each(function(entry, chapter)
        if chapter.module then return end -- some of its paths are those of a script
        local example = {}
        for line in (entry.example .. "\n"):gmatch "(.-)\n" do example["  " .. line] = true end
        for line in help.text(entry.path, width):gmatch "[^\n]+" do
          local long = #line:gsub("[\128-\191]", "")
          -- A word that is longer than the line has one of its own.
          assert.is_true(example[line] or long <= width or not line:match "^%s*(.-)%s*$":find "%s", ("%d: %s"):format(width, line))
        end
      end)
    end
  end)
end)

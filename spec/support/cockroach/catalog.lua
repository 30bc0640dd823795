--- What the model answers to questions about pg_catalog, version() and the session, by patterns of the statement.

local model = require "spec.support.cockroach.model"

local function named(self, kind, field)
  local rows = {}
  for thing in self:each(function(t) return t.kind == kind and (kind == "database" or t.database == self.current) end) do
    rows[#rows + 1] = { schema_name = thing.schema, name = thing[field or "name"], owner = thing.owner }
  end
  return rows
end

local RELATIONS = { table = "r", sequence = "S" }

return {
  { "FROM pg_catalog%.pg_policies", function(self)
    -- Row policies came with 25.2; older servers show an empty view.
    local rows = {}
    for _, policy in ipairs(self.policies) do
      for _, role in ipairs(policy.database == self.current and policy.roles or {}) do
        rows[#rows + 1] = { schema_name = policy.schema, table_name = policy.table, name = policy.name, role = role }
      end
    end
    return rows
  end },
  { "^SELECT has_schema_privilege%('([^']*)', '([^']*)', 'CREATE'%) AS may$", function(self, role, schema)
    return { { may = self:may_create(role, self:thing("schema", self.current, schema)) } }
  end },
  { "^SELECT has_database_privilege%('([^']*)', '([^']*)', 'CREATE'%) AS may$", function(self, role, database)
    return { { may = self:may_create(role, self:thing("database", database)) } }
  end },
  { "FROM %[SHOW SCHEDULES%] WHERE owner = '([^']*)'$", function(self, role)
    local rows = {}
    for i = 1, self.jobs[role] or 0 do rows[i] = { id = ("%d"):format(1000 + i), label = "nightly" } end
    return rows
  end },
  { "version%(%)", function(self) return { { answer = "CockroachDB CCL v" .. self.version .. " (x86_64-pc-linux-gnu)" } } end },
  { "crdb_internal%.cluster_id%(%)", function(self)
    if self:since "26.1" and not self.unsafe then return model.fail "Access to crdb_internal and system is restricted." end
    return { { answer = self.cluster_id or "00000000-0000-4000-8000-00000000c1d5" } }
  end },
  { "^SET allow_unsafe_internals = true$", function(self)
    if not self:since "26.1" then return model.fail 'unrecognized configuration parameter "allow_unsafe_internals"' end
    self.unsafe = true
    return true
  end },
  { "^RESET allow_unsafe_internals$", function(self)
    self.unsafe = nil
    return true
  end },
  { "session_user", function(self) return { { answer = self.user } } end },
  { "current_database%(%) AS answer", function(self) return { { answer = self.current } } end },
  { "rolvaliduntil .* FROM pg_catalog%.pg_roles WHERE rolname = '([^']*)'", function(self, name)
    local role = self.roles[name]
    if not role then return {} end
    -- The model's options hold the time as seconds of its clock.
    local ends = role.options["VALID UNTIL"]
    return { { valid_until = ends and tostring(ends) or nil, expired = ends ~= nil and ends <= self.clock } }
  end },
  -- The oid is made from the name: it stays when a role is made anew.
  { "^SELECT rolname AS name, oid::text AS id, .* FROM pg_catalog%.pg_roles$", function(self)
    local rows = {}
    for name, role in pairs(self.roles) do
      local ends = role.options["VALID UNTIL"]
      rows[#rows + 1] = {
        name = name, id = tostring(#name), valid_until = ends and tostring(ends) or nil, expired = ends ~= nil and ends <= self.clock,
      }
    end
    return rows
  end },
  { "^SELECT username AS name, user_id::STRING AS id FROM system%.users$", function(self)
    if not self:since "22.2" then return model.fail 'column "user_id" does not exist' end
    local rows = {}
    for name, role in pairs(self.roles) do rows[#rows + 1] = { name = name, id = tostring(role.number) } end
    return rows
  end },
  { "pg_get_serial_sequence", function(self)
    local rows = {}
    for name, sequence in pairs(self.owned[self.current]) do rows[#rows + 1] = { name = name, sequence = sequence } end
    return rows
  end },
  { "FROM pg_catalog%.pg_type", function(self) return named(self, "type") end },
  { "FROM pg_catalog%.pg_class", function(self)
    local rows = {}
    for kind, letter in pairs(RELATIONS) do
      for _, row in ipairs(named(self, kind)) do
        row.kind = letter
        rows[#rows + 1] = row
      end
    end
    return rows
  end },
  { "FROM pg_catalog%.pg_proc", function(self)
    local rows = named(self, "routine")
    for _, row in ipairs(rows) do
      row.name, row.arguments = row.name:match "^([^(]*)%((.*)%)$"
      row.kind = row.name:find "^proc" and "p" or "f"
    end
    return rows
  end },
  { "FROM pg_catalog%.pg_namespace", function(self) return named(self, "schema", "schema") end },
  { "d%.datdba.*datname = '([^']*)'", function(self, name) return { { owner = self:thing("database", name).owner } } end },
  { "SELECT datname FROM pg_catalog%.pg_database WHERE datname = '([^']*)'", function(self, name)
    return self:find("database", name) and { { datname = name } } or {}
  end },
  { "SELECT datname AS name", function(self) return named(self, "database", "database") end },
  { '^USE "([^"]*)"$', function(self, name)
    if not self:find("database", name) then return model.fail("database %q does not exist", name) end
    self.current = name
    return true
  end },
  { "^SET database = ''$", function(self)
    self.current = ""
    return true
  end },
}

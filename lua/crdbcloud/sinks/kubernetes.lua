--- A Kubernetes Secret: its manifest in a file, on standard output, or into the standard input of a command.
--
-- `{ "kubernetes", name = "{user}", namespace = "shop", path = PATH }`,
-- `"kubernetes:NAMESPACE/NAME"` for standard output (path = "-"), or
-- `{ "kubernetes", name = …, command = { "kubectl", "apply", "--server-side", "-f", "-" }, timeout = "30s" }`
-- (server-side: plain `kubectl apply` keeps a second copy of the password in an
-- annotation). The manifest is JSON, which every reader of YAML takes too. Its data
-- are username, password, host, port, database and sslmode; labels tell who made it
-- and which epoch it holds.

local cjson = require("cjson.safe").new()
local core = require "crdbcloud.core"
local files = require "crdbcloud.sinks.files"
local leftovers = require "crdbcloud.base.leftovers"
local printing = require "crdbcloud.base.printing"
local programs = require "crdbcloud.sinks.programs"
local sinks = require "crdbcloud.sinks"

local M = {}

local MAX = 1024 * 1024 -- bytes of an existing manifest

-- "-" is standard output.
local function path_rule(value, name)
  return value == "-" and value or files.path(value, name)
end

M.fields = { name = "text", namespace = "text", path = path_rule, command = programs.command, timeout = programs.timeout }
M.required = { "name" }
M.usage = "NAMESPACE/NAME"

--- What stands after "kubernetes:"; the manifest goes to standard output.
function M.short(text)
  local namespace, name = text:match "^([^/]+)/([^/]+)$"
  return { name = name or text, namespace = namespace, path = "-" }
end
M.tells_user = true

--- What is wrong with the fields taken together.
function M.problem(spec)
  if (spec.path == nil) == (spec.command == nil) then
    return 'kubernetes needs a path or a command, one of them: path = "…" or command = { "kubectl", "apply", "--server-side", "-f", "-" }'
  end
  if spec.timeout and not spec.command then return "kubernetes: timeout belongs to a command" end
  return nil
end

local Kubernetes = {}
Kubernetes.__index = Kubernetes

function M.new(spec)
  local self = setmetatable({
    secret = spec.name, namespace = spec.namespace, path = spec.path, command = spec.command, timeout = spec.timeout,
  }, Kubernetes)
  local place = (spec.namespace and spec.namespace .. "/" or "") .. spec.name
  self.stdout = spec.path == "-"
  -- A Secret in a cluster is not ours to delete: what a command made, another one takes away.
  if self.stdout or self.command then self.remove = false end
  if self.stdout then
    self.name = "kubernetes:" .. place
  else
    self.name = "kubernetes:" .. (spec.path or place .. " | " .. programs.shown(spec.command))
  end
  self.target = spec.path and not self.stdout and "file:" .. spec.path or self.name
  return self
end

-- RFC 1123 as Kubernetes asks for it: a Secret's name is a DNS subdomain, a namespace one label of it.
local function is_label(text, max)
  return #text <= max and text:find "^[a-z0-9]" ~= nil and text:find "[a-z0-9]$" ~= nil and not text:find "[^a-z0-9-]"
end

local function name_problem(self)
  local right = #self.secret <= 253
  for part in (self.secret .. "."):gmatch "([^.]*)%." do right = right and is_label(part, 253) end
  if not right then
    return ('"%s" is no name of a Secret (lower-case letters, digits, "-" and "."); give another name'):format(self.secret)
  end
  if self.namespace and not is_label(self.namespace, 63) then return ('"%s" is no namespace'):format(self.namespace) end
  return nil
end

-- Written so that equal credentials make equal manifests, and that the metadata can be read without the data.
local function manifest(self, credential)
  local function text(value) return cjson.encode(tostring(value)) end
  local function base64(value) return core.secret(type(value) == "number" and ("%d"):format(value) or value):encode "base64" end
  local parts = { '{\n  "apiVersion": "v1",\n  "kind": "Secret",\n  "metadata": {\n    "name": ', text(self.secret), ",\n" }
  local function add(...)
    for i = 1, select("#", ...) do parts[#parts + 1] = (select(i, ...)) end
  end
  if self.namespace then add('    "namespace": ', text(self.namespace), ",\n") end
  add(('    "labels": {"app.kubernetes.io/managed-by": "crdbcloud", "crdbcloud/epoch": "%d"},\n'):format(credential.epoch))
  add('    "annotations": {"crdbcloud/user": ', text(credential.pair or credential.user))
  add(', "crdbcloud/cluster-id": ', text(credential.cluster_id), "}\n  },\n")
  add('  "type": "Opaque",\n  "data": {\n')
  for _, field in ipairs { "host", "port", "database", "sslmode" } do
    if credential[field] then add('    "', field, '": "', base64(credential[field]), '",\n') end
  end
  add('    "username": "', base64(credential.user), '",\n    "password": "', credential.password:encode "base64", '"\n  }\n}\n')
  return core.secret_join(parts)
end

-- Why the file may not be replaced: it must be ours, for the same user, and not newer.
local function refusal(self, credential)
  local old, why = files.read(self.path, MAX)
  if not old then return why end
  local metadata = core.json_member(old, "metadata")
  old:close()
  metadata = metadata and cjson.decode(metadata)
  local labels = type(metadata) == "table" and metadata.labels
  local notes = type(metadata) == "table" and metadata.annotations
  local epoch = type(labels) == "table" and tonumber(labels["crdbcloud/epoch"])
  if not epoch or type(notes) ~= "table" then return self.path .. " is no Secret written by this sink; it is not overwritten" end
  if notes["crdbcloud/user"] ~= (credential.pair or credential.user) or notes["crdbcloud/cluster-id"] ~= credential.cluster_id then
    return ("it holds the credential of another user (%s)"):format(tostring(notes["crdbcloud/user"]))
  end
  if epoch > credential.epoch then return ("it holds epoch %d, which is newer than %d"):format(epoch, credential.epoch) end
  return nil
end

function Kubernetes:check(credential)
  local problem = name_problem(self)
  if not problem and self.command then problem = programs.problem(self.command) end
  if not problem and self.path and not self.stdout then problem = refusal(self, credential) or files.directory_problem(self.path) end
  if problem then return nil, sinks.failed(self.name, problem) end
  return true
end

function Kubernetes:holds(credential)
  if not self.path or self.stdout then return nil end
  local text = files.read(self.path, MAX)
  local wanted = manifest(self, credential)
  local same = text ~= nil and wanted:equals(text)
  wanted:close()
  return same
end

function Kubernetes:publish(credential)
  local function write(text)
    if self.command then return programs.run(self.command, text, {}, self.timeout) end
    if self.stdout then
      local ok, problem = printing.write_exactly(io.stdout, text:reveal())
      if ok then ok, problem = io.stdout:flush() end
      return ok, problem
    end
    local problem = refusal(self, credential)
    if problem then return nil, problem end
    leftovers.sweep(self.path) -- the user is ours, and its file is no other's
    return core.write_file(self.path, text)
  end
  local text = manifest(self, credential)
  local ok, why = write(text)
  text:close()
  if not ok then return nil, sinks.failed(self.name, why) end
  return true
end

function Kubernetes:remove(credential)
  local problem = refusal(self, credential)
  local ok = not problem
  if ok then ok, problem = files.unlink(self.path) end
  if not ok then return nil, sinks.failed(self.name, problem) end
  return true
end

return M

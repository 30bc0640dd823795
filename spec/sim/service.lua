--- The Cloud API and the cluster behind it, for the simulation: one live password
-- per user; requests are applied now, late, twice or never; answers are right,
-- lost or wrong.

local errors = require "crdbcloud.errors"
local explain = require "crdbcloud.api.explain"
local record = require "crdbcloud.record"

local M = {}

local Service = {}
Service.__index = Service

local PUT, POST = "update_sql_user_password", "create_sql_user"

--- Seconds after the client gave up within which a request may still be applied.
M.LATEST = record.SETTLE - 5

function M.new(world)
  return setmetatable({ world = world, users = {}, requests = {} }, Service)
end

-- Answers as the C client classifies them (spec/http/outcome_spec.lua): outcome, kind, status, reason.
local ANSWERS = {
  timeout = { "unknown", "timeout", 0 },
  reset = { "unknown", "network", 0 },
  empty_reply = { "unknown", "network", 0 },
  server = { "unknown", "server", 500 },
  unavailable = { "unknown", "unavailable", 503, "server" },
  html = { "unknown", "protocol", 200 },
  broken_body = { "unknown", "protocol", 200 },
  wrong_name = { "unknown", "protocol", 200 },
  rate_limited = { "not_sent", "rate_limited", 429 },
  connect = { "not_sent", "network", 0 },
  resolve = { "not_sent", "network", 0 },
  refused_stream = { "not_sent", "network", 0 },
  tls = { "not_sent", "tls", 0 },
  deadline = { "not_sent", "timeout", 0 },
  unauthenticated = { "rejected", "unauthenticated", 401 },
  permission_denied = { "rejected", "permission_denied", 403 },
  not_found = { "rejected", "not_found", 404 },
  already_exists = { "rejected", "already_exists", 409 },
  locked = { "rejected", "conflict", 409 },
  not_ready = { "rejected", "unavailable", 400 },
  password_refused = { "rejected", "invalid_argument", 400 },
  must_differ = { "rejected", "invalid_argument", 400 },
  invalid_argument = { "rejected", "invalid_argument", 400 },
  redirect = { "rejected", "protocol", 302 },
}

local function answer(name, retry_after)
  local a = ANSWERS[name]
  return { outcome = a[1], kind = a[2], status = a[3], reason = a[4] or name, retry_after = retry_after }
end

local APPLIED = { outcome = "applied", status = 200 }

-- Of a request that was carried out, or may have been.
local UNCLEAR = { "timeout", "reset", "empty_reply", "server", "unavailable", "html", "broken_body", "wrong_name" }

-- Of a request that the service surely did not carry out.
local REFUSED = {
  "rate_limited", "rate_limited", "connect", "resolve", "refused_stream", "tls", "unauthenticated", "permission_denied",
  "locked", "not_ready", "password_refused", "invalid_argument", "redirect",
}
local RETRY_AFTER = { false, 3, 86400 }

--- Makes a user as somebody else would.
function Service:put_user(name, label, fields)
  self.users[name] = { label = label, admin = false, changed_at = self.world.scheduler.now }
  for k, v in pairs(fields or {}) do self.users[name][k] = v end
end

-- Carries a request out; what the service answers.
function Service:carry_out(request, late)
  local world = self.world
  local user = self.users[request.user]
  local result = APPLIED
  if request.op == POST then
    if user then
      result = answer "already_exists"
    else
      self:put_user(request.user, request.label, { admin = true, ours = true })
    end
  elseif not user then
    result = answer "not_found"
  elseif world.refused[request.label] then
    result = answer "password_refused"
  elseif user.label == request.label and world.profile.must_differ then
    result = answer "must_differ"
  else
    user.label, user.changed_at = request.label, world.scheduler.now
    -- Nobody has seen the service do it; the engine must find out all the same.
    if user.ours and not late and world.regrants > 0 and world:being_created(request) and world:chance(0.5) then
      world.regrants = world.regrants - 1
      user.admin = true
    end
  end
  request.pending = request.pending - 1
  request.carried_out = request.carried_out or result == APPLIED or result.reason == "must_differ"
  world:say(nil, "%s %s %s %s%s", request.op == POST and "POST" or "PUT", request.user, request.label,
    result == APPLIED and "applied" or result.reason, late and " (late)" or "")
  world.check:carried_out(request, result)
  return result
end

local function at(self, request, seconds, late)
  request.pending = request.pending + 1
  self.world.scheduler:after(seconds, function()
    local result = self:carry_out(request, late)
    if not late then request.answer = result end
  end)
end

-- How a request goes: plain, lost (carried out, answer lost), late, dropped,
-- twice (by a gateway), refused (not carried out); and what is answered. A script
-- says it for the first requests.
---@return { [1]: string, answer: string|nil, retry_after: number|nil, after: number|nil }
function Service:fate()
  local world = self.world
  if world.script and #world.script > 0 then
    local step = table.remove(world.script, 1)
    return type(step) == "table" and step or { step }
  end
  if not world:chance(world.profile.send_faults) then return { "plain" } end
  return { world.random:weighted(world.profile.fates) }
end

--- One exchange.
---@return table result as of the C client
function Service:exchange(process, op, name, password, timeout)
  local world = self.world
  local random = world.random
  local now = world.scheduler.now
  local request = {
    process = process, op = op, user = name, label = world:label(password), pending = 0,
    sent_at = now, until_time = now + timeout, work = process.work,
  }
  self.requests[#self.requests + 1] = request
  world.check:sent(request)
  local step = self:fate()
  local fate = step[1]
  local quick = random:between(0.01, timeout * 0.4)
  world:say(process, "sends %s %s %s (%s)", op == POST and "POST" or "PUT", name, request.label, fate)
  local result, seconds
  if fate == "plain" or fate == "twice" then
    at(self, request, quick)
    if fate == "twice" then at(self, request, quick * 1.5) end
    seconds = quick * 2
  elseif fate == "refused" then
    result, seconds = answer(step.answer or random:pick(REFUSED), step.retry_after), quick
    if result.reason == "rate_limited" and not step.answer then result.retry_after = random:pick(RETRY_AFTER) or nil end
  else
    result = answer(step.answer or random:pick(UNCLEAR))
    seconds = result.reason == "timeout" and timeout or quick * 2
    if fate == "lost" or fate == "lost and twice" then at(self, request, quick) end
    if fate == "late" or fate == "lost and twice" then
      at(self, request, seconds + (step.after or random:between(0, M.LATEST)), true)
    end
  end
  world:pause(seconds)
  result = result or request.answer
  -- A process that was stopped meanwhile finds that its time is over, or the answer.
  if world.scheduler.now > request.until_time + 0.001 and random:chance(0.5) then result = answer "timeout" end
  request.result = result
  world.check:answered(request)
  return result
end

local Cloud = {}
Cloud.__index = Cloud

--- The account object of one process, with what workflows call.
function Service:open(process, config)
  return setmetatable({ service = self, world = self.world, process = process, config = config }, Cloud)
end

local function failure(op, args, result)
  return explain.error({
    operation = op, effect = op == PUT and "put" or op == POST and "create" or "read", cluster_id = args.cluster_id,
    name = args.name, server = "simulated", key_from = "simulated",
  }, result, { attempts = 1, deadline = "?" })
end

--- One paced exchange, as crdbcloud.api.exchange does it.
function Cloud:once(op, args, limits)
  local world, process = self.world, self.process
  world:pause(world:chance(0.1) and world.random:between(0, 12) or 0.001) -- for its turn
  local left = limits.deadline - world:boot_now(process)
  if left < 0.01 or limits.until_wall and world:wall_now(process) > limits.until_wall then
    return nil, failure(op, args, answer "deadline")
  end
  local result = self.service:exchange(process, op, args.name, args.password, math.min(limits.timeout, left))
  if result.status == 401 and world.random:chance(0.5) then
    left = limits.deadline - world:boot_now(process)
    if left >= 0.01 then
      result = self.service:exchange(process, op, args.name, args.password, math.min(limits.timeout, left))
    end
  end
  world:say(process, "answer: %s%s", result.outcome, result.reason and " (" .. result.reason .. ")" or "")
  if result.outcome == "applied" then return { name = args.name } end
  return nil, failure(op, args, result)
end

-- A read: answered, or not.
function Cloud:read(op, fn)
  local world = self.world
  world:pause()
  if world:chance(world.profile.send_faults * 0.3) then
    world:pause()
    return nil, failure(op, { cluster_id = world.id }, answer "reset")
  end
  local value = fn()
  world:pause()
  return value
end

local function users_of(self)
  local list = {}
  for name in pairs(self.service.users) do list[#list + 1] = { name = name } end
  table.sort(list, function(a, b) return a.name < b.name end)
  return list
end

function Cloud:all_sql_users()
  return self:read("list_sql_users", function() return users_of(self) end)
end

function Cloud:get_cluster()
  return self:read("get_cluster", function() return { id = self.world.id, name = "simulated", state = "CREATED" } end)
end

function Cloud:list_audit_logs()
  if not self.audit_log then
    self.world:pause()
    return nil, failure("list_audit_logs", {}, answer "permission_denied")
  end
  return self:read("list_audit_logs", function() return { entries = self.audit_log } end)
end

function Cloud.event() end

function Cloud.account() return "simulated" end

--- A login.
---@return string verdict as of crdbcloud.sql.probe
---@return crdbcloud.error|nil
function Service:login(process, name, password)
  local world = self.world
  world:pause()
  local label = world:label(password)
  local verdict = world.login and world.login(label)
  local user = self.users[name]
  if verdict then
    world:say(process, "by the script")
  elseif world:chance(world.profile.unreachable) then
    verdict = world.random:pick { "network", "too_many_connections", "paused", "expired", "tls", "not_asked" }
  elseif not user then
    verdict = "no_login"
  elseif user.label ~= label or world.scheduler.now - user.changed_at < 0.3 and world:chance(0.3) then
    verdict = "wrong_password" -- a new one takes a moment to reach every node
  else
    verdict = "accepted"
  end
  if verdict == "accepted" then world.check:logged_in(label) end
  world:pause()
  world:say(process, "login %s %s: %s", name, label, verdict)
  if verdict == "accepted" then return verdict end
  return verdict, errors.new { kind = verdict == "network" and "network" or "sql", message = "login: " .. verdict }
end

return M

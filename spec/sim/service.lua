--- The Cloud API and the cluster behind it, for the simulation: one live password
-- per user; requests are applied now, late, twice or never; answers are right,
-- lost or wrong.

local errors = require "crdbcloud.errors"
local explain = require "crdbcloud.cloud.explain"
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

-- Answers as the C client classifies them (spec/outcome_spec.lua).
local function answer(outcome, kind, reason, status, retry_after)
  return { outcome = outcome, kind = kind, reason = reason, status = status or 0, retry_after = retry_after }
end

local APPLIED = answer("applied", nil, nil, 200)

-- Of a request that was carried out, or may have been.
local UNCLEAR = {
  function() return answer("unknown", "timeout", "timeout") end,
  function() return answer("unknown", "network", "reset") end,
  function() return answer("unknown", "network", "empty_reply") end,
  function() return answer("unknown", "server", "server", 500) end,
  function() return answer("unknown", "unavailable", "server", 503, 2) end,
  function() return answer("unknown", "protocol", "html", 200) end,
  function() return answer("unknown", "protocol", "broken_body", 200) end,
  function() return answer("unknown", "protocol", "wrong_name", 200) end,
}

-- Of a request that the service surely did not carry out.
local REFUSED = {
  function() return answer("not_sent", "rate_limited", "rate_limited", 429) end,
  function() return answer("not_sent", "rate_limited", "rate_limited", 429, 3) end,
  function() return answer("not_sent", "rate_limited", "rate_limited", 429, 86400) end,
  function() return answer("not_sent", "network", "connect") end,
  function() return answer("not_sent", "network", "resolve") end,
  function() return answer("not_sent", "network", "refused_stream") end,
  function() return answer("not_sent", "tls", "tls") end,
  function() return answer("rejected", "unauthenticated", "unauthenticated", 401) end,
  function() return answer("rejected", "permission_denied", "permission_denied", 403) end,
  function() return answer("rejected", "conflict", "locked", 409) end,
  function() return answer("rejected", "unavailable", "not_ready", 400) end,
  function() return answer("rejected", "invalid_argument", "password_refused", 400) end,
  function() return answer("rejected", "invalid_argument", "invalid_argument", 400) end,
  function() return answer("rejected", "protocol", "redirect", 302) end,
}

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
      result = answer("rejected", "already_exists", "already_exists", 409)
    else
      self:put_user(request.user, request.label, { admin = true, ours = true })
    end
  elseif not user then
    result = answer("rejected", "not_found", "not_found", 404)
  elseif world.refused[request.label] then
    result = answer("rejected", "invalid_argument", "password_refused", 400)
  elseif user.label == request.label and world.profile.must_differ then
    result = answer("rejected", "invalid_argument", "must_differ", 400)
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
-- twice (by a gateway), refused (not carried out).
function Service:fate()
  local world = self.world
  if not world:chance(world.profile.send_faults) then return "plain" end
  return world.random:weighted(world.profile.fates)
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
  local fate = self:fate()
  local quick = random:between(0.01, timeout * 0.4)
  world:say(process, "sends %s %s %s (%s)", op == POST and "POST" or "PUT", name, request.label, fate)
  local result, seconds
  if fate == "plain" or fate == "twice" then
    at(self, request, quick)
    if fate == "twice" then at(self, request, quick * 1.5) end
    seconds = quick * 2
  elseif fate == "refused" then
    result, seconds = random:pick(REFUSED)(), quick
  else
    result = random:pick(UNCLEAR)()
    seconds = result.reason == "timeout" and timeout or quick * 2
    if fate == "lost" or fate == "lost and twice" then at(self, request, quick) end
    if fate == "late" or fate == "lost and twice" then
      at(self, request, seconds + random:between(0, M.LATEST), true)
    end
  end
  world:pause(seconds)
  result = result or request.answer
  -- A process that was stopped meanwhile finds that its time is over, or the answer.
  if world.scheduler.now > request.until_time + 0.001 and random:chance(0.5) then
    result = answer("unknown", "timeout", "timeout")
  end
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

--- One paced exchange, as crdbcloud.cloud.exchange does it.
function Cloud:once(op, args, limits)
  local world, process = self.world, self.process
  world:pause(world:chance(0.1) and world.random:between(0, 12) or 0.001) -- for its turn
  local left = limits.deadline - world:boot_now(process)
  if left < 0.01 or limits.until_wall and world:wall_now(process) > limits.until_wall then
    return nil, failure(op, args, answer("not_sent", "timeout", "deadline"))
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
    return nil, failure(op, { cluster_id = world.id }, answer("unknown", "network", "reset"))
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

function Cloud:list_sql_users()
  return self:read("list_sql_users", function() return { users = users_of(self) } end)
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
    return nil, failure("list_audit_logs", {}, answer("rejected", "permission_denied", "permission_denied", 403))
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
  local user, verdict = self.users[name], nil
  if world:chance(world.profile.unreachable) then
    verdict = world.random:pick { "network", "too_many_connections", "paused", "expired", "tls", "not_asked" }
  elseif not user then
    verdict = "no_login"
  elseif user.label ~= label or world.scheduler.now - user.changed_at < 0.3 and world:chance(0.3) then
    verdict = "wrong_password" -- a new one takes a moment to reach every node
  else
    verdict = "accepted"
    world.check:logged_in(label)
  end
  world:pause()
  world:say(process, "login %s %s: %s", name, label, verdict)
  if verdict == "accepted" then return verdict end
  return verdict, errors.new { kind = verdict == "network" and "network" or "sql", message = "login: " .. verdict }
end

return M

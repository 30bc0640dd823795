-- A program that sends requests to a unix socket, each connection one after the other: the next leaves when the last
-- is answered and a pause has passed.
--
--   loader.lua JOB    JOB: a JSON file (see spec.nginx_load.load); writes JOB.out when it is done
--
-- It writes one JSON object: { sent, unanswered, statuses = { ["200"] = n }, first = what went wrong first, times =
-- milliseconds of each request, answers = { { status, body } … } where paths were listed }.

local cjson = require "cjson"
local uv = require "luv"

local RECONNECT = 500 -- requests of a connection; nginx closes one after 1000

local function read_all(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

local path = arg[1]
local job = cjson.decode(read_all(path))
local listed = job.paths ~= nil
local answers = {}
local out = { sent = 0, unanswered = 0, statuses = {}, times = {} }
local next_index, stopped = 1, false
local open = 0
local ends_at = uv.hrtime() + job.seconds * 1e9

local function wrong(text)
  out.unanswered = out.unanswered + 1
  out.first = out.first or text
end

-- HTTP/1.0: nginx tells the length, and keeps the connection when asked to.
local function request_text(target)
  return ("GET %s HTTP/1.0\r\nHost: nginx\r\nConnection: %s\r\n\r\n"):format(target, job.fresh and "close" or "keep-alive")
end

-- The status and body of a whole answer; nil while more is to come.
local function parsed(text, ended)
  local head_end = select(2, text:find("\r\n\r\n", 1, true))
  if not head_end then return nil end
  local head = text:sub(1, head_end)
  local length = tonumber(head:match "[Cc]ontent%-[Ll]ength: *(%d+)")
  if length and #text < head_end + length or not length and not ended then return nil end
  return head:match "^HTTP/%d%.%d (%d+)", text:sub(head_end + 1, length and head_end + length or -1), head:find "keep%-alive" ~= nil
end

local Connection = {}
Connection.__index = Connection

function Connection:close()
  if self.pipe and not self.pipe:is_closing() then self.pipe:close() end
  self.pipe = nil
end

function Connection:answered(status, body)
  out.sent = out.sent + 1
  out.times[#out.times + 1] = (uv.hrtime() - self.began) / 1e6
  out.statuses[status] = (out.statuses[status] or 0) + 1
  if status ~= "200" and not out.first then out.first = status .. ": " .. body:sub(1, 200) end
  if listed then answers[self.index] = { status = tonumber(status), body = body } end
end

function Connection:again()
  self.text, self.index = nil, nil
  if job.pause and job.pause > 0 then
    self.timer:start(job.pause, 0, function() self:send() end)
  else
    -- From the loop, not from here: else the stack would grow.
    self.timer:start(0, 0, function() self:send() end)
  end
end

function Connection:failed(text)
  if not self.index then
    self:close()
    return
  end
  out.sent = out.sent + 1
  wrong(("%s: %s"):format(self.target, text))
  if listed then answers[self.index] = { status = 0, body = text } end
  self:close()
  self:again()
end

function Connection:read(problem, data)
  if problem then return self:failed(problem) end
  self.text = (self.text or "") .. (data or "")
  local status, body, kept = parsed(self.text, data == nil)
  if not status then
    if data == nil then self:failed(#self.text == 0 and "closed without an answer" or "closed within the answer") end
    return
  end
  if not self.index then return self:close() end
  self:answered(status, body)
  self.count = self.count + 1
  if not kept or job.fresh or self.count >= RECONNECT then self:close() end
  self:again()
end

function Connection:write()
  self.began = uv.hrtime()
  self.pipe:write(request_text(self.target))
end

function Connection:send()
  local over = stopped or uv.hrtime() > ends_at or listed and next_index > #job.paths
  if over then
    self:close()
    self.timer:close()
    open = open - 1
    return
  end
  self.index, self.target = next_index, listed and job.paths[next_index] or job.path
  next_index = next_index + 1
  if self.pipe then return self:write() end
  self.pipe, self.count = uv.new_pipe(false), 0
  local pipe = self.pipe
  self.began = uv.hrtime()
  pipe:connect(job.socket, function(problem)
    if problem then return self:failed("connect: " .. problem) end
    pipe:read_start(function(failed, data)
      if self.pipe == pipe then self:read(failed, data) end
    end)
    self:write()
  end)
end

for i = 1, job.connections or 1 do
  local connection = setmetatable({ timer = uv.new_timer() }, Connection)
  open = open + 1
  connection.timer:start(job.spread and job.spread * (i - 1) or 0, 0, function() connection:send() end)
end

-- Ends when it is told to, when the time is over, and when whoever wants to know is gone.
local watch = uv.new_timer()
watch:start(50, 50, function()
  stopped = stopped or uv.fs_stat(job.stop) ~= nil or uv.kill(job.parent, 0) ~= 0
  if open == 0 then watch:close() end
  if uv.hrtime() > ends_at + job.patience * 1e9 then uv.stop() end
end)
uv.run()
if open > 0 then wrong(("%d connections had no answer at the end"):format(open)) end
if listed then
  for i = 1, #job.paths do answers[i] = answers[i] or { status = -1, body = "not sent" } end
  out.answers = answers
end
cjson.encode_sparse_array(true)
local file = assert(io.open(path .. ".new", "wb"))
assert(file:write(cjson.encode(out)))
assert(file:close())
assert(os.rename(path .. ".new", path .. ".out"))

-- The command behind an exec: store, for specs: keeps values in a directory, and misbehaves on demand.
-- Usage: lua exec_backend.lua DIR
--   DIR/fault   "OP WHAT": the next call of OP goes wrong in that way, once (or "OP WHAT always")
--   DIR/calls   a line per call: op and key
--   DIR/seen    what others may see of this process: its arguments and environment
--   DIR/nocas   exists: it compares nothing, and says so

local cjson = require "cjson"

local dir = arg[1]

local function read(path)
  local file = io.open(path, "rb")
  local text = file and file:read "*a"
  if file then file:close() end
  return text
end

local function write(path, text, mode)
  local file = assert(io.open(path, mode or "wb"))
  file:write(text)
  file:close()
end

local request = cjson.decode(io.read "*a")
write(dir .. "/calls", request.op .. " " .. (request.key or request.prefix or "") .. "\n", "ab")
write(dir .. "/seen", (read "/proc/self/cmdline" .. read "/proc/self/environ"):gsub("%z", "\n"), "ab")

local fault
do
  local op, what, rest = (read(dir .. "/fault") or ""):match "^(%S+) (%S+)(.*)"
  if op == request.op then
    fault = what
    if not rest:find "always" then os.remove(dir .. "/fault") end
  end
end

local function say(answer)
  local text = cjson.encode(answer)
  if fault == "half" then text = text:sub(1, -3) end
  io.write(text, "\n")
  os.exit(fault == "status" and 9 or 0)
end

local cas = read(dir .. "/nocas") == nil
if fault == "unwritten" then os.exit(1) end
if fault == "garbage" then io.write "the password is swordfish" io.stderr:write "swordfish" os.exit(0) end
if fault == "raced" then -- somebody else is faster
  write(dir .. "/values", cjson.encode { [request.key] = { version = "v9", value = "c29tZWJvZHkgZWxzZQ==" } })
  fault = nil
end
local word = fault and fault:match "^word:(.*)"
if word then io.write(cjson.encode { ok = false, error = word }) os.exit(1) end

local values = cjson.decode(read(dir .. "/values") or "{}")
local there = request.key and values[request.key]

local function change(value)
  if cas and (there and there.version or cjson.null) ~= request.version then
    return say { ok = false, error = "conflict" }
  end
  local number = tonumber(read(dir .. "/number") or "0") + 1
  write(dir .. "/number", tostring(number))
  if fault == "forgotten" then say { ok = true, version = "v" .. number } end
  values[request.key] = value and { version = "v" .. number, value = value } or nil
  write(dir .. "/values", cjson.encode(values))
  if fault == "lost" then os.exit(1) end
  if fault == "hang" then while true do os.execute "sleep 1" end end
  if fault == "repeated" then say { ok = false, error = "conflict" } end -- its own first try, it finds
  say { ok = true, version = fault ~= "versionless" and "v" .. number or nil }
end

if request.op == "hello" then
  say { ok = true, protocol = fault == "newer" and 2 or 1, cas = cas }
elseif request.op == "get" then
  if fault == "valueless" then say { ok = true, found = true, version = "v1" } end
  if fault == "changed" and there then there.value = "AAAA" end
  say(there and { ok = true, found = true, version = there.version, value = there.value } or { ok = true, found = false })
elseif request.op == "put" then
  change(request.value)
elseif request.op == "remove" then
  change(nil)
elseif request.op == "list" then
  local keys = setmetatable({}, cjson.empty_array_mt)
  for key in pairs(values) do
    if key:sub(1, #request.prefix) == request.prefix or fault == "foreign" then keys[#keys + 1] = key end
  end
  io.write('{"ok":true,"keys":[')
  for i, key in ipairs(keys) do io.write(i > 1 and "," or "", cjson.encode(key)) end
  io.write "]}\n"
end

--- Readers of environment files, each by the rules of its program. The shell is the real one; systemd is read by the real
--- one too where it does not expand variables; docker's client has no command that only reads, so its documented rules stand here.

local temp = require "spec.support.temp"

local M = {}

--- Sources each file in a shell of its own kind and gives the value of K, nil where it is not set.
---@param shell string
---@param texts string[]
---@return table<integer, string>
function M.shell(shell, texts)
  local dir = temp.dir()
  for i, text in ipairs(texts) do temp.write(("%s/%d"):format(dir, i), text) end
  local out, status = temp.run(([[%s -c 'i=1; while [ $i -le %d ]; do unset K; . %s/$i; [ "${K+set}" ] && printf %%s "$K" >%s/$i.value; i=$((i+1)); done']])
    :format(shell, #texts, dir, dir))
  assert(status == 0, out)
  local values = {}
  for i = 1, #texts do values[i] = temp.read(("%s/%d.value"):format(dir, i)) end
  return values
end

--- docker run --env-file (docker/cli, pkg/kvfile): UTF-8 lines KEY=VALUE, a byte-order mark and leading blanks dropped, "#" and
--- empty lines skipped, the value as it is. Newer versions take one pair of equal quotes off a value.
---@param text string
---@param newer boolean
---@return table<string, string>
function M.docker(text, newer)
  local values = {}
  for line in (text:gsub("^\239\187\191", "") .. "\n"):gmatch "(.-)\r?\n" do
    line = line:gsub("^[ \t\v\f\r]+", "")
    local key, value = line:match "^([^#=][^=]*)=(.*)$"
    if key then
      assert(not key:find "[ \t]", "docker refuses the file: a blank in a name")
      if newer and #value > 1 and (value:match "^'.*'$" or value:match '^".*"$') then value = value:sub(2, -2) end
      values[key] = value
    end
  end
  return values
end

local function is_one_of(c, set) return set:find(c, 1, true) ~= nil end

--- EnvironmentFile= of systemd (src/basic/env-file.c). old: before version 254 a backslash continues a comment.
---@param text string
---@param old boolean
---@return table<string, string>
function M.systemd(text, old)
  local values, state, key, value, blanks = {}, "before key", "", "", ""
  local function finish()
    values[(key:gsub("[ \t\r\n]+$", ""))] = value
    state, key, value, blanks = "before key", "", "", ""
  end
  for c in text:gmatch "." do
    local ends = is_one_of(c, "\n\r")
    if state == "before key" then
      if is_one_of(c, "#;") then state = "comment" elseif not is_one_of(c, " \t\n\r") then state, key = "key", c end
    elseif state == "key" then
      if ends then state, key = "before key", "" elseif c == "=" then state = "before value" else key = key .. c end
    elseif state == "before value" then
      if ends then finish()
      elseif c == "'" or c == '"' then state = c
      elseif c == "\\" then state = "escape"
      elseif not is_one_of(c, " \t") then state, value = "value", value .. c end
    elseif state == "value" then
      if ends then finish()
      elseif c == "\\" then state, value, blanks = "escape", value .. blanks, ""
      elseif is_one_of(c, " \t") then blanks = blanks .. c
      else value, blanks = value .. blanks .. c, "" end
    elseif state == "escape" then
      state = "value"
      if not ends then value = value .. c end
    elseif state == "'" then
      if c == "'" then state = "before value" else value = value .. c end
    elseif state == '"' then
      if c == '"' then state = "before value" elseif c == "\\" then state = "quoted escape" else value = value .. c end
    elseif state == "quoted escape" then
      state = '"'
      if is_one_of(c, '"\\`$') then value = value .. c elseif c ~= "\n" then value = value .. "\\" .. c end
    elseif state == "comment" then
      if c == "\\" then state = "comment escape" elseif ends then state = "before key" end
    elseif state == "comment escape" then
      state = (ends and not old) and "before key" or "comment"
    end
  end
  if state ~= "before key" and state ~= "key" and not state:find "comment" then finish() end
  return values
end

--- The real one: systemd's generator of user environments reads such files and prints them for a shell. It expands $NAME in
--- values, which EnvironmentFile= does not.
---@param texts string[]
---@return table<integer, string>
function M.real_systemd(texts)
  local dir = temp.dir()
  local generator = "/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator"
  local printed = {}
  for i, text in ipairs(texts) do
    local home = ("%s/%d"):format(dir, i)
    temp.run("mkdir -p " .. home .. "/environment.d")
    temp.write(home .. "/environment.d/spec.conf", text)
    local out, status = temp.run(("env -i XDG_CONFIG_HOME=%s HOME=%s %s 2>/dev/null"):format(home, home, generator))
    assert(status == 0, out)
    printed[i] = out
  end
  return M.shell("bash", printed)
end

return M

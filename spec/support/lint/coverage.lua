-- Lists each crash point (C1 to C24) and hostile case (A1 to A45) of the protocol with
-- the specs that carry its id at the beginning of their title: "C8: ...", "A1, A2: ...".
-- Ends with 1 when one has none. Titles are read from the files, nothing is run.
--   lua5.4 spec/support/lint/coverage.lua

local LAST = { C = 24, A = 45 }

local function files()
  local list = {}
  local pipe = assert(io.popen "find spec -name '*_spec.lua' | LC_ALL=C sort")
  for path in pipe:lines() do list[#list + 1] = path end
  pipe:close()
  return list
end

local found = {}

local function note(ids, path, line, title)
  for id in ids:gmatch "[AC]%d+" do
    found[id] = found[id] or {}
    table.insert(found[id], ("%s:%d  %s"):format(path, line, title))
  end
end

for _, path in ipairs(files()) do
  local n = 0
  for line in io.lines(path) do
    n = n + 1
    for _, quote in ipairs { '"', "'" } do
      for ids, title in line:gmatch(quote .. "([AC]%d+[AC%d, ]*):%s*([^" .. quote .. "]*)") do note(ids, path, n, title) end
    end
  end
end

local missing = {}
for _, kind in ipairs { "C", "A" } do
  for n = 1, LAST[kind] do
    local id = kind .. n
    if found[id] then
      for _, where in ipairs(found[id]) do print(id .. "\t" .. where) end
    else
      missing[#missing + 1] = id
      print(id .. "\tMISSING")
    end
  end
end
print(("%d ids, %d without a spec%s"):format(LAST.C + LAST.A, #missing, #missing > 0 and ": " .. table.concat(missing, " ") or ""))
os.exit(#missing == 0 and 0 or 1)

-- `make check-nginx`: nginx under load at full length; ends with 1 when anything is wrong. NGINX_PARTS="latency crash" for
-- some parts: latency, mixed, interpreted, reload, crash, secrets, asan, valgrind.

local temp = require "spec.support.temp"

io.stdout:setvbuf "line"

local PARTS = {
  { "latency", "latency", { seconds = 6, rounds = 3 } },
  { "mixed", "mixed", { calls = 10000 } },
  { "interpreted", "mixed", { calls = 10000, jit = false } },
  { "reload", "reload", { calls = 200, reloads = 20 } },
  { "crash", "crash", { rounds = 12 } },
  { "secrets", "secrets", {} },
  { "asan", "memory", { tool = "asan", calls = 1000 } },
  { "valgrind", "memory", { tool = "valgrind", calls = 1000 } },
}

local wanted = os.getenv "NGINX_PARTS"
local wrong, ran = 0, 0
for _, part in ipairs(PARTS) do
  local name, module, options = part[1], require("spec.nginx_load." .. part[2]), part[3]
  if not wanted or (" " .. wanted .. " "):find(" " .. name .. " ", 1, true) then
    ran = ran + 1
    print("== " .. name)
    local figures = module.run(options)
    print(module.text(figures))
    local problem = module.problem(figures)
    if problem then
      wrong = wrong + 1
      io.stderr:write("check-nginx: ", name, ": ", problem, "\n")
    end
    temp.clean()
  end
end
print(("%d passed, %d failed"):format(ran - wrong, wrong))
os.exit(wrong == 0 and ran > 0 and 0 or 1, true)

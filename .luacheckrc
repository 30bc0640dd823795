-- One source for Lua 5.4 and LuaJIT: "min" is what all Lua versions share; what is used
-- beyond that behind a test is listed.
std = "min"
max_line_length = 160
self = false
cache = false
read_globals = {
  "jit", "unpack",
  table = { fields = { "unpack" } },
  math = { fields = { "tointeger", "type" } },
  package = { fields = { "searchpath", "searchers" } },
}
files["spec/**/*_spec.lua"] = { std = "min+busted" }
files["spec/support"] = { std = "max+busted" }
files["spec/bench"] = { std = "max" }
for _, path in ipairs { "lua/crdbcloud/nginx", "lua/crdbcloud/nginx/shared_sink.lua", "lua/crdbcloud/base/blocking.lua" } do
  files[path] = { std = "min+ngx_lua", read_globals = { ngx = { fields = { "run_worker_thread" } } } }
end
files["examples/sandbox"] = { std = "max+ngx_lua" }
files["examples/nginx"] = { std = "min+ngx_lua" }
exclude_files = { "build" }
files["lua/crdbcloud/types"] = { ignore = { "212", "241", "631" } } -- declarations use no argument; those made by `make reference` are long

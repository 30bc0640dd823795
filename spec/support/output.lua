-- How spec/support/run reads busted: one line per file, failures in full, and a last line
-- "counts PASSED FAILED" that is missing when the interpreter died.
return function(options)
  local busted = require "busted"
  local handler = require "busted.outputHandlers.base"()
  local label = options.arguments and options.arguments[1] or _VERSION
  local passed, failed, in_file = 0, 0, 0
  local started -- of the file, seconds

  local function say(text)
    io.stdout:write(text, "\n")
    io.stdout:flush()
  end

  local function text_of(message)
    if type(message) == "string" then return message end
    if message == nil then return "error without a message" end
    local meta = getmetatable(message)
    if meta and meta.__tostring then return tostring(message) end
    return require "pl.pretty".write(message)
  end

  local function fail(element, message, trace)
    failed = failed + 1
    local place = element.trace or trace or {}
    say(("FAILED %s: %s\n  at %s:%s\n  %s"):format(label, handler.getFullName(element), place.short_src or "?",
      place.currentline or "?", (text_of(message):gsub("\n", "\n  "))))
    if trace and trace.traceback and trace.traceback ~= "" then say("  " .. trace.traceback:gsub("\n", "\n  ")) end
    return nil, true
  end

  local log = os.getenv "CRDBCLOUD_SPEC_LOG"
  busted.subscribe({ "test", "start" }, function(element)
    if log then
      local file = io.open(log, "w")
      if file then file:write(handler.getFullName(element), "\n") file:close() end
    end
    return nil, true
  end)
  busted.subscribe({ "test", "end" }, function(element, _, status)
    if status == "success" then
      passed, in_file = passed + 1, in_file + 1
    elseif status == "pending" then
      return fail(element, "is pending; a skipped case counts as failed")
    end
    return nil, true
  end)
  busted.subscribe({ "failure" }, function(element, _, message, trace) return fail(element, message, trace) end)
  busted.subscribe({ "error" }, function(element, _, message, trace) return fail(element, message, trace) end)
  busted.subscribe({ "file", "start" }, function()
    in_file, started = 0, require "system".gettime()
    return nil, true
  end)
  busted.subscribe({ "file", "end" }, function(file)
    say(("%-8s %-40s %4d passed %7.1f s"):format(label, file.name, in_file, require "system".gettime() - started))
    return nil, true
  end)
  busted.subscribe({ "exit" }, function()
    say(("counts %d %d"):format(passed, failed))
    return nil, true
  end)
  return handler
end

local batch = require "crdbcloud.run.batch"

-- What a batch needs of a run: a clock that stands still unless it is slept on, and ears.
local function context()
  local ctx = { now = 1000, events = {}, slept = {}, warnings = {} }
  ctx.clock = { time = function() return ctx.now end }
  function ctx.monotonic() return ctx.now end
  function ctx.sleep(_, seconds)
    ctx.slept[#ctx.slept + 1], ctx.now = seconds, ctx.now + seconds
    return not ctx.signal
  end
  function ctx.interrupted() return ctx.signal end
  function ctx.progress(_, event) ctx.events[#ctx.events + 1] = event end
  return ctx
end

local function plan(...)
  local rows = {}
  for i, user in ipairs { ... } do rows[i] = { user = user, action = "rotate", epoch = i, sinks = {} } end
  return rows
end

local DONE = { result = "done" }

local function done(job)
  return { user = job.user, result = "done", sinks = {} }
end

local function names(jobs)
  local list = {}
  for i, job in ipairs(jobs) do list[i] = job.user end
  return list
end

describe("a batch", function()
  it("hands users out in the order of the plan and keeps their rows in it", function()
    local ctx = context()
    local work = batch.new(ctx, plan("a", "b", "c"), {})
    local jobs = { work:next(), work:next(), work:next() }
    assert.same({ "a", "b", "c" }, names(jobs))
    assert.same({ nil, true }, { work:next() }) -- others are in hand
    for _, i in ipairs { 2, 3, 1 } do work:finish(jobs[i], done(jobs[i])) end
    assert.same({}, { work:next() })
    assert.same({ "a", "b", "c" }, names(work.rows))
    assert.same({ 1, 2, 3 }, { ctx.events[1].index, ctx.events[2].index, ctx.events[3].index })
    assert.same({ "b", 3 }, { ctx.events[1].user, ctx.events[1].total })
  end)

  it("estimates the time left with those in hand counted half", function()
    local ctx = context()
    local work = batch.new(ctx, plan("a", "b", "c", "d"), {})
    local first, second = work:next(), work:next()
    ctx.now = ctx.now + 15
    work:finish(first, done(first))
    assert.equal(25, ctx.events[1].seconds_left) -- 15 s for 1.5 users, 2.5 to go
    work:finish(second, done(second))
    assert.equal(15, ctx.events[2].seconds_left)
    for _ = 1, 2 do
      local job = work:next()
      work:finish(job, done(job))
    end
    assert.equal(0, ctx.events[4].seconds_left)
  end)

  it("meets a user that is held or not settled again, once, when all others had their turn", function()
    for _, err in ipairs { { kind = "busy" }, { kind = "pending", reason = "settling", retry_after = 30 } } do
      local ctx = context()
      local work = batch.new(ctx, plan("a", "b", "c"), {})
      local a, b, c = work:next(), work:next(), work:next()
      work:finish(a, { result = "failed", user = "a" }, err)
      assert.same({ nil, true }, { work:next() }) -- b and c are on their first turn
      ctx.now = ctx.now + 10
      work:finish(c, { result = "failed", user = "c" }, err)
      work:finish(b, done(b))
      assert.equal(1, #ctx.events)
      -- Both at once: they do not wait for one another.
      local again, other = work:next(), work:next()
      assert.same({ a, c }, { again, other })
      assert.equal(err.retry_after and 20 or 0, again.wait)
      assert.equal(err.retry_after and 30 or 0, other.wait)
      work:finish(again, { result = "failed", user = "a" }, err)
      work:finish(other, done(other))
      assert.same({}, { work:next() })
      assert.same({ "failed", "done", "done" }, { work.rows[1].result, work.rows[2].result, work.rows[3].result })
    end
  end)

  it("waits for a rate limit to pass, but not for as long as a service may ask", function()
    for _, case in ipairs { { nil, true }, { 300, true }, { 86400, false } } do
      local work = batch.new(context(), plan("a"), {})
      local a = work:next()
      work:finish(a, { result = "failed", user = "a" }, { kind = "rate_limited", retry_after = case[1] })
      assert.equal(case[2], work:next() == a)
    end
  end)

  it("leaves what the run logs in with to the end, alone", function()
    local rows = plan("a", "b", "own")
    rows[3].last = true
    local work = batch.new(context(), rows, {})
    local a, b = work:next(), work:next()
    work:finish(b, { result = "failed", user = "b" }, { kind = "busy" })
    assert.same({ nil, true }, { work:next() })
    work:finish(a, done(a))
    local again = work:next()
    assert.equal("b", again.user)
    assert.same({ nil, true }, { work:next() })
    work:finish(again, done(again))
    local own = work:next()
    assert.equal("own", own.user)
    assert.same({ nil, true }, { work:next() })
    work:finish(own, { result = "failed", user = "own" }, { kind = "busy" })
    assert.equal("own", work:next().user)
  end)

  it("starts nobody after some failures in a row, an interrupt, an error of the run, or the end of its window", function()
    local function rest(ctx, opts, first)
      local work = batch.new(ctx, plan("a", "b", "c", "d"), opts)
      for _ = 1, 2 do
        local job = work:next()
        work:finish(job, first(job))
      end
      ctx.after()
      assert.same({}, { work:next() })
      assert.equal(work.rows[3].result, work.rows[4].result)
      return work.rows[3].result, work.rows[3].note, work.rows[3].epoch
    end
    local ctx = context()
    ctx.after = function() end
    assert.same({ "untouched", "stopped after 2 failures in a row", 3 },
      { rest(ctx, { max_failures = 2 }, function(job) return { user = job.user, result = "failed" } end) })
    ctx.after = function() ctx.signal = 2 end
    assert.same({ "untouched", "interrupted", 3 }, { rest(ctx, {}, done) })
    ctx = context()
    ctx.after = function() ctx.stop = { message = "the disk is full" } end
    assert.same({ "untouched", "stopped: the disk is full", 3 }, { rest(ctx, {}, done) })
    ctx = context()
    local window = { from = 0, to = 30, text = "00:00-00:30" }
    ctx.now = os.time { year = 2026, month = 3, day = 3, hour = 0, min = 29, sec = 50 }
    ctx.after = function() ctx.now = ctx.now + 10 end
    assert.same({ "skipped", "outside the window 00:00-00:30", 3 }, { rest(ctx, { window = window }, done) })
  end)

  it("goes on for as many failures as it is told to", function()
    local work = batch.new(context(), plan("a", "b", "c", "d", "e"), { max_failures = false })
    local rows = work:run(function(job) return { user = job.user, result = "failed" } end)
    assert.equal("failed", rows[5].result)
    work = batch.new(context(), plan("a", "b", "c", "d", "e"), {})
    rows = work:run(function(job) return { user = job.user, result = job.user == "c" and "done" or "failed" } end)
    assert.same({ "done", "failed", "failed" }, { rows[3].result, rows[4].result, rows[5].result }) -- never three in a row
  end)

  it("waits for a user's time when it works alone, and begins nothing when a signal ends the wait", function()
    local function run(signal)
      local ctx = context()
      local turns, sleep = 0, ctx.sleep
      function ctx.sleep(...)
        ctx.signal = signal
        return sleep(...)
      end
      local rows = batch.new(ctx, plan("a"), {}):run(function(job)
        turns = turns + 1
        if turns > 1 then return done(job) end
        local row = { user = "a", result = "failed" }
        return row, { kind = "pending", reason = "settling", retry_after = 7 }
      end)
      return rows[1].result, turns, ctx.slept[1]
    end
    assert.same({ "done", 2, 7 }, { run() })
    assert.same({ "untouched", 1, 7 }, { run(2) })
    local job = { user = "a", epoch = 4 }
    assert.same({ user = "a", result = "untouched", note = "interrupted", epoch = 4, sinks = {} }, batch.interrupted(job))
  end)

  it("has rows for those that a plan leaves out", function()
    local work = batch.new(context(), {
      { user = "a", action = "skip", reason = "excluded", sinks = {} }, { user = "b", action = "blocked", reason = "no such user", sinks = {} },
    }, {})
    assert.equal(0, work.total)
    local rows = work:run(function() return DONE end)
    assert.same({ "skipped", "excluded" }, { rows[1].result, rows[1].note })
    assert.same({ "failed", "not_found", "not_sent" }, { rows[2].result, rows[2].kind, rows[2].outcome })
  end)
end)

describe("a window", function()
  for _, case in ipairs {
    { "02:00-04:00", 2, 0, true }, { "02:00-04:00", 3, 59, true }, { "02:00-04:00", 4, 0, false },
    { "02:00-04:00", 1, 59, false }, { "22:00-04:00", 23, 30, true }, { "22:00-04:00", 0, 0, true },
    { "22:00-04:00", 3, 59, true }, { "22:00-04:00", 4, 0, false }, { "22:00-04:00", 12, 0, false },
    { "00:00-23:59", 23, 59, false }, { "00:00-23:59", 0, 0, true },
  } do
    it(("%s is %s at %02d:%02d"):format(case[1], case[4] and "open" or "closed", case[2], case[3]), function()
      assert.are.equal(case[4], batch.is_open(batch.window(case[1], "window", 1), case[2], case[3]))
    end)
  end

  for _, bad in ipairs { "2-4", "02:00", "25:00-26:00", "02:60-03:00", "02:00-02:00", 7, {} } do
    it("is refused: " .. tostring(bad), function()
      local ok, err = pcall(batch.window, bad, "window", 1)
      assert.is_false(ok)
      assert.truthy(err:find('window must be hours of the day such as "22:00-04:00", got ', 1, true))
    end)
  end
end)

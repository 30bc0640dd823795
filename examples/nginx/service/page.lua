-- The page for people: plain HTML that works without scripts. Pure.

local html = require "service.html"

local M = {}

local fill, escape = html.fill, html.escape

local FRAME = [[
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
{{refresh}}<title>{title}</title>
<link rel="stylesheet" href="/style.css">
</head>
<body>
{{body}}
</body>
</html>
]]

local LOGIN = [[
<main class="login">
<div class="card">
<span class="mark" aria-hidden="true"></span>
<h1>SQL users</h1>
<p class="muted">Sign in with the token of this service, or come with a client certificate.</p>
{{message}}<form method="post" action="/login">
<input class="hidden" name="name" value="crdbcloud" autocomplete="username" readonly tabindex="-1" aria-hidden="true">
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button class="primary">Sign in</button>
</form>
</div>
</main>]]

local PAGE = [[
<header class="top">
<div class="bar">
<span class="mark" aria-hidden="true"></span>
<div class="title"><h1>SQL users</h1><p class="muted">Cluster <b>{cluster}</b></p></div>
<form method="post" action="/logout">{{token}}<button class="quiet">Sign out</button></form>
</div>
</header>
<main>
{{messages}}<dl class="facts">
{{facts}}</dl>
{{rotation}}<section class="card" aria-labelledby="users-title">
<div class="head"><h2 id="users-title">Users</h2><p class="muted">{count}</p></div>
{{table}}</section>
{{create}}</main>
<footer class="muted">No password is ever shown here. Programs read theirs from the store.</footer>]]

local MESSAGE = [[<p class="message {tone}" role="{role}">{text}</p>
]]

local FACT = [[<div class="{tone}"><dt>{name}</dt><dd>{{value}}</dd></div>
]]

local TABLE = [[
<table role="table">
<caption class="hidden">Users of the cluster, their owners and the age of their passwords</caption>
<thead role="rowgroup"><tr role="row"><th role="columnheader" scope="col">User</th><th role="columnheader" scope="col">Owner</th>]] ..
  [[<th role="columnheader" scope="col">Password set</th><th role="columnheader" scope="col">State</th>]] ..
  [[<th role="columnheader" scope="col"><span class="hidden">Action</span></th></tr></thead>
<tbody role="rowgroup">
{{rows}}</tbody>
</table>
]]

local ROW = [[
<tr role="row" class="{tone}-row"><th role="rowheader" scope="row" class="user">{name}</th><td role="cell" class="owner{nobody}">{{owner}}</td>]] ..
  [[<td role="cell" class="age">{{age}}</td><td role="cell" class="state"><span class="badge {tone}">{label}</span></td>]] ..
  [[<td role="cell" class="action">{{action}}</td></tr>
]]

local ROTATE_ONE = [[<form method="post" action="/rotate">{{token}}<input type="hidden" name="user" value="{name}">]] ..
  [[<button class="quiet" aria-label="Rotate the password of {name} now">Rotate</button></form>]]

local RUNNING = [[
<section class="card rotation" aria-labelledby="rotation-title">
<div class="head"><h2 id="rotation-title">Rotation under way</h2><p class="muted">began {{since}}</p></div>
<progress aria-labelledby="rotation-title"{{share}}></progress>
<p role="status">{text}</p>
</section>
]]

local ROTATION = [[
<section class="card rotation" aria-labelledby="rotation-title">
<div class="words"><h2 id="rotation-title">Rotation</h2>
<p class="muted">{rule}</p>
{{last}}</div>
{{all}}</section>
]]

local ROTATE_ALL = [[
<details>
<summary class="button">Rotate all…</summary>
<form method="post" action="/rotate" class="panel">
{{token}}<p>Each of the {count} managed users gets a new password now. The old ones stop working; programs that read theirs from the store go on.</p>
<label for="reason">Reason, for the history</label>
<input id="reason" name="reason" maxlength="200" placeholder="optional">
<button class="primary">Rotate {count} now</button>
</form>
</details>
]]

local CREATE = [[
<section class="card" aria-labelledby="create-title" id="create">
<div class="head"><h2 id="create-title">New user</h2><p class="muted">Limited from the first moment; never an admin.</p></div>
<form method="post" action="/users" class="fields">
{{token}}<div><label for="name">Name</label><input id="name" name="name" required maxlength="63" autocomplete="off" ]] ..
  [[value="{name}" placeholder="payment_service"></div>
<div><label for="owner">Owner</label><input id="owner" name="owner" required maxlength="200" value="{owner}" placeholder="team@example.com"></div>
<div><label for="database">Database</label><input id="database" name="database" required maxlength="63" value="{database}" placeholder="shop"></div>
<div><label for="access">May</label><select id="access" name="access"><option value="readonly"{{readonly}}>read</option>]] ..
  [[<option value="readwrite"{{readwrite}}>read and write</option></select></div>
<div class="wide"><label for="tables">Tables</label><input id="tables" name="tables" value="{tables}" placeholder="all, or names: orders, customers"></div>
<div class="go"><button class="primary">Create user</button></div>
</form>
</section>
]]

local function form_token(session)
  return fill([[<input type="hidden" name="form_token" value="{value}">]], { value = session.form_token })
end

local function message(tone, text)
  return fill(MESSAGE, { tone = tone, text = text, role = tone == "bad" and "alert" or "status" })
end

local function facts(view)
  local list = {}
  local function fact(name, value, tone)
    list[#list + 1] = fill(FACT, { name = name, value = value, tone = tone or "plain" })
  end
  fact("Managed users", view.managed)
  fact("Oldest password", view.oldest and escape(html.duration(view.oldest)) or "–")
  fact("Due", view.due, view.due > 0 and "wait" or nil)
  fact("Half done", view.stuck, view.stuck > 0 and "bad" or nil)
  local schedule = view.schedule
  fact("Next rotation", not schedule and "–" or schedule.running and "now" or html.time(schedule.next_due, view.now))
  return table.concat(list)
end

local RESULTS = {
  done = "rotated", skipped = "left as they are", untouched = "not begun", failed = "failed", unknown = "unanswered",
  unpublished = "not published", incomplete = "with old sessions left",
}

local function last_run(schedule, now)
  local last = schedule and schedule.last
  if not last then return "" end
  local counts, order = {}, {}
  for _, run in ipairs(last.runs or {}) do
    for result, n in pairs(run.counts) do
      if not counts[result] then order[#order + 1] = result end
      counts[result] = (counts[result] or 0) + n
    end
  end
  table.sort(order)
  local parts = {}
  for i, result in ipairs(order) do parts[i] = ("%d %s"):format(counts[result], RESULTS[result] or result) end
  local words = #parts > 0 and table.concat(parts, ", ") or "nothing to do"
  if last.ok then return ('<p class="muted">Last run %s: %s.</p>\n'):format(html.time(last.ended, now), escape(words)) end
  return ('<p class="message bad">Last run %s: %s%s</p>\n'):format(html.time(last.ended, now), escape(last.message or last.kind),
    escape(last.hint and "; " .. last.hint or ""))
end

local function rotation(view, session)
  local schedule = view.schedule
  if not schedule then return "" end
  if schedule.running or schedule.cut or schedule.asked > 0 then
    local progress = schedule.progress or {}
    local known = progress.index and progress.total
    local text = schedule.cut and "The worker that ran it is gone; another one goes on in a few seconds." or progress.text or "Starting…"
    if known then text = ("%d of %d: %s: %s"):format(progress.index, progress.total, progress.user or "", text) end
    return fill(RUNNING, {
      since = html.time(schedule.running_since or view.now, view.now), text = text,
      -- Whoever is being worked on is not done.
      share = known and fill(' value="{done}" max="{total}"', {
        done = progress.index - (progress.result and 0 or 1), total = progress.total,
      }) or "",
    })
  end
  return fill(ROTATION, {
    rule = ("Every %s, passwords older than %s are rotated."):format(html.duration(schedule.every):gsub("^1 ", ""), html.duration(view.max_age)),
    last = last_run(schedule, view.now),
    all = view.managed > 0 and fill(ROTATE_ALL, { token = form_token(session), count = view.managed }) or "",
  })
end

local function row(user, view, session)
  local can_rotate = user.managed and user.state ~= "partner" and user.state ~= "unreadable" and user.state ~= "creating"
  return fill(ROW, {
    name = user.name, tone = user.tone, label = user.label,
    owner = user.owner and escape(user.owner) or '<span class="muted">–</span>',
    nobody = user.owner and "" or " nobody",
    -- On a narrow page there is no heading above it.
    age = user.set_at and '<span class="narrow">Set </span>' .. html.time(user.set_at, view.now)
      or '<span class="muted"><span class="narrow">Age </span>unknown</span>',
    action = can_rotate and fill(ROTATE_ONE, { token = form_token(session), name = user.name }) or "",
  })
end

local function users(view, session)
  if #view.users == 0 then return '<p class="empty muted">No users yet. The first one is made below.</p>\n' end
  local rows = {}
  for i, user in ipairs(view.users) do rows[i] = row(user, view, session) end
  return fill(TABLE, { rows = table.concat(rows) })
end

local function create(session, given)
  local function text(name) return type(given[name]) == "string" and given[name] or "" end
  return fill(CREATE, {
    token = form_token(session), name = text "name", owner = text "owner", database = text "database", tables = text "tables",
    readonly = given.access ~= "readwrite" and " selected" or "", readwrite = given.access == "readwrite" and " selected" or "",
  })
end

local function frame(title, body, refresh)
  return fill(FRAME, { title = title, body = body, refresh = refresh and ('<meta http-equiv="refresh" content="%d">\n'):format(refresh) or "" })
end

--- The page of a person who is signed in.
---@param view table as of service.view
---@param session { form_token: string }
---@param notes { message: { tone: string, text: string }|nil, form: table|nil } form: fields of a form that was refused
---@return string
function M.main(view, session, notes)
  local messages = {}
  if notes.message then messages[1] = message(notes.message.tone, notes.message.text) end
  for _, problem in ipairs { view.store_error or false, view.api_error or false } do
    if problem then messages[#messages + 1] = message("bad", tostring(problem)) end
  end
  local schedule = view.schedule
  local busy = schedule and (schedule.running or schedule.cut or schedule.asked > 0)
  local body = fill(PAGE, {
    cluster = view.cluster, token = form_token(session), messages = table.concat(messages), facts = facts(view),
    rotation = rotation(view, session), table = users(view, session), create = create(session, notes.form or {}),
    count = ("%d managed, %d others"):format(view.managed, view.unmanaged),
  })
  -- Nobody's half-filled form is reloaded from under them: while a rotation runs, the page is for watching it.
  return frame("SQL users of " .. view.cluster, body, busy and not notes.form and 2 or nil)
end

--- The page of everybody else.
---@param problem string|nil
---@return string
function M.login(problem)
  return frame("Sign in", fill(LOGIN, { message = problem and message("bad", problem) or "" }))
end

--- A page with one sentence, for what a browser shows of an error.
---@param title string
---@param text string
---@return string
function M.plain(title, text)
  return frame(title, fill([[
<main class="login"><div class="card"><h1>{title}</h1><p>{text}</p><p><a href="/">Back to the users</a></p></div></main>]],
    { title = title, text = text }))
end

return M

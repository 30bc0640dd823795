--- Whole lists and iterators over pages; lists print as tables.

local calls = require "crdbcloud.api.operations"
local core = require "crdbcloud.core"
local exchange = require "crdbcloud.api.exchange"
local pages = require "crdbcloud.api.pages"
local printed = require "crdbcloud.api.printed"

local M = {}

--- Name of a listing, as in cloud:all_sql_users and cloud:sql_users -> operation that reads a page.
M.LISTS = { sql_users = "list_sql_users", clusters = "list_clusters", databases = "list_databases" }

---@class crdbcloud.lists.reader
---@field done boolean

-- Reads a listing page by page. pinned: all pages show the state of one moment,
-- the caller's or that of the first request; never where somebody's existence is
-- decided, because what was made a moment ago may be missing from it.
local Reader = {}
Reader.__index = Reader

---@param account crdbcloud.account|any what ask takes
---@param operation string
---@param args table
---@param opts table options of the call
---@param pinned boolean
---@param ask nil|fun(account: any, call: crdbcloud.call, limits: table, opts: table): table|nil, crdbcloud.error|nil one page;
---  default crdbcloud.api.exchange.run
function M.reader(account, operation, args, opts, pinned, ask)
  local declared = calls.OPERATIONS[operation]
  return setmetatable({
    account = account, operation = operation, args = args, opts = opts, field = declared.list, ask = ask or exchange.run,
    own_time = pinned and opts.as_of_time == nil,
    walk = pages.begin { as_of_time = opts.as_of_time, max_items = account.config.max_items },
  }, Reader)
end

function Reader:fetch(until_time)
  local walk, opts = self.walk, {}
  for name, value in pairs(self.opts) do opts[name] = value end
  if self.own_time and not walk.as_of_time then
    walk.as_of_time = pages.timestamp(core.time())
  end
  opts.page, opts.as_of_time = walk.token, walk.as_of_time
  return self.ask(self.account, calls.make(self.operation, self.args, opts), {
    timeout = opts.timeout, deadline = opts.deadline, until_time = until_time,
  }, opts)
end

-- A 400 may be the fault of what we added on our own: a clock that is ahead of
-- the service's, or a page token that has expired in mid-list.
local function may_start_again(self, err)
  if err.status ~= 400 then return false end
  if pages.restart(self.walk) then return true end
  if self.own_time and self.walk.count == 0 then
    self.own_time, self.walk.as_of_time = false, nil
    return true
  end
  return false
end

--- The items of the next page that were not seen yet; nil without error at the end.
---@param until_time number|nil as of core.boottime
---@return table[]|nil
---@return crdbcloud.error|nil
function Reader:next(until_time)
  if self.walk.done then return nil end
  local page, err = self:fetch(until_time)
  if not page and may_start_again(self, err) then page, err = self:fetch(until_time) end
  if not page then return nil, err end
  local fresh, endless = pages.take(self.walk, page[self.field], page.next_page)
  if not fresh then
    endless.operation = self.operation
    return nil, endless
  end
  return fresh
end

--- All items of a listing, within one deadline.
---@return table[]|nil
---@return crdbcloud.error|nil
function M.all(account, operation, args, opts, pinned, ask)
  local reader = M.reader(account, operation, args, opts, pinned, ask)
  local until_time = core.boottime() + (opts.deadline or account.config.deadline)
  local out = {}
  while true do
    local items, err = reader:next(until_time)
    if err then return nil, err end
    if not items then return printed.list(out, reader.field) end
    for _, item in ipairs(items) do out[#out + 1] = item end
  end
end

--- Whether one item of a listing passes a test; pages are read until one does.
---@param reader table of reader
---@param deadline number seconds for the whole listing
---@param test fun(item: table): boolean|nil
---@return boolean|nil
---@return crdbcloud.error|nil
function M.any(reader, deadline, test)
  local until_time = core.boottime() + deadline
  while true do
    local items, err = reader:next(until_time)
    if err then return nil, err end
    if not items then return false end
    for _, item in ipairs(items) do
      if test(item) then return true end
    end
  end
end

--- An iterator over a listing; one page is held. An error raises the error object.
---@return fun(): table|nil
function M.each(account, operation, args, opts, ask)
  local reader = M.reader(account, operation, args, opts, true, ask)
  local items, i = {}, 0
  return function()
    while true do
      i = i + 1
      if items[i] then return items[i] end
      local err
      items, err = reader:next()
      if err then
        items = {}
        error(err, 0)
      end
      if not items then
        items = {}
        return nil
      end
      i = 0
    end
  end
end

return M

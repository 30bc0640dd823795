--- Known wrong engines, made from the right one by replacing functions from
-- outside. A simulation that does not find them proves nothing.

local decide = require "crdbcloud.workflows.decide"
local record = require "crdbcloud.record"
local store = require "spec.sim.store"

local M = {}

-- Replaces a field; `undo` puts it back.
local function replace(undo, module, name, fn)
  local old = module[name]
  module[name] = fn(old)
  undo[#undo + 1] = function() module[name] = old end
end

--- name -> function(undo) that makes the engine wrong
M.list = {
  {
    name = "new-password",
    what = "an unanswered send is followed by a new password",
    make = function(undo)
      replace(undo, decide, "after_send", function(old)
        return function(o)
          return o.outcome == "unknown" and "restage" or old(o)
        end
      end)
    end,
  },
  {
    name = "no-settle",
    what = "the next password does not wait for unanswered sends",
    make = function(undo)
      replace(undo, record, "settled_at", function() return function() return nil end end)
    end,
  },
  {
    name = "two-stores",
    what = "each rotator has a store of its own",
    make = function(undo, world_class)
      replace(undo, world_class, "all_stores", function()
        return function(self)
          if not self.stores then
            self.private_stores = true
            self.stores = {}
            for i = 1, 2 do
              self.stores[i] = store.new(self, { shared = self.profile.shared, lease = self.profile.lease })
              self.stores[i].name = "@" .. i
            end
          end
          return self.stores
        end
      end)
      replace(undo, world_class, "store_of", function()
        return function(self, process)
          return process.store or self:all_stores()[process.name:byte() % 2 + 1]
        end
      end)
    end,
  },
  {
    name = "versions-restart",
    what = "a record that was removed and made again counts its versions from 1",
    make = function(undo)
      replace(undo, store.Backing, "next_version", function()
        return function(_, version) return (version or 0) + 1 end
      end)
    end,
  },
}

--- Switches a variant on.
---@return fun() undo
function M.apply(name, world_class)
  for _, variant in ipairs(M.list) do
    if variant.name == name then
      local undo = {}
      variant.make(undo, world_class)
      return function()
        for i = #undo, 1, -1 do undo[i]() end
      end
    end
  end
  error("no variant " .. tostring(name), 2)
end

return M

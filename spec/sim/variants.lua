--- Known wrong engines, made from the right one by replacing functions from
-- outside. A simulation that does not find them proves nothing.

local decide = require "crdbcloud.change.decide"
local record = require "crdbcloud.record"
local store = require "spec.sim.store"

local steps = require "crdbcloud.change.finish"
local world = require "spec.sim.world"

local M = {}

-- Replaces a field; `undo` puts it back.
local function replace(undo, module, name, fn)
  local old = module[name]
  module[name] = fn(old)
  undo[#undo + 1] = function() module[name] = old end
end

--- `known`: those that a simulation must find, by the protocol; the others show that
--- every invariant is watched. `breaks`: the rule that catches it first of all; `runs`:
--- how many that takes; `rare`: too many for a short run.
M.list = {
  {
    name = "new-password", breaks = "consumers", known = true,
    what = "an unanswered send is followed by a new password",
    make = function(undo)
      replace(undo, decide, "after_send", function(old)
        return function(o)
          return o.outcome == "unknown" and "restage" or old(o)
        end
      end)
      -- The record itself would refuse.
      replace(undo, record, "may_be_live", function() return function() return false end end)
    end,
  },
  {
    name = "no-settle", breaks = "I8", known = true,
    what = "the next password does not wait for unanswered sends",
    make = function(undo)
      replace(undo, record, "unsettled", function() return function() return nil end end)
    end,
  },
  {
    name = "two-stores", breaks = "end", known = true,
    what = "each rotator has a store of its own",
    make = function(undo)
      replace(undo, world.World, "all_stores", function()
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
      replace(undo, world.World, "store_of", function()
        return function(self, process)
          return process.store or self:all_stores()[process.name:byte() % 2 + 1]
        end
      end)
    end,
  },
  {
    name = "no-intent", breaks = "I1",
    what = "the store says that it has kept an INTENT and has not",
    make = function(undo)
      replace(undo, store.Handle, "put", function(old)
        return function(self, key, rec, version)
          if rec.state == "intent" and version then return version end
          return old(self, key, rec, version)
        end
      end)
    end,
  },
  {
    name = "no-compare-and-swap", runs = 300, breaks = "I2",
    what = "the store takes any write",
    make = function(undo)
      replace(undo, store.Backing, "commit", function(old)
        return function(self, key, packed, _, process)
          return old(self, key, packed, self.rows[key] and self.rows[key].version, process)
        end
      end)
    end,
  },
  {
    name = "no-lease", breaks = "I7",
    what = "nobody looks whether the lease still holds",
    make = function(undo)
      replace(undo, store.Handle, "lock", function(old)
        return function(self, key, note)
          local lock, err = old(self, key, note)
          if lock then lock.ensure = function() return true end end
          return lock, err
        end
      end)
    end,
  },
  {
    name = "no-proof", breaks = "I5",
    what = "any answer, and any login, counts as a proof",
    make = function(undo)
      replace(undo, steps, "verify", function() return function() return "accepted" end end)
      replace(undo, decide, "after_send", function() return function() return "applied" end end)
    end,
  },
  {
    name = "no-second-look", breaks = "creation",
    what = "nobody looks whether a created user is an admin again",
    make = function(undo)
      replace(undo, world.privileges, "inspect", function(old)
        return function(sql, user)
          local found, err = old(sql, user)
          if found and found.granted then found.admin, found.limited = false, true end -- the first look, which is before, stays
          return found, err
        end
      end)
    end,
  },
  {
    name = "early-hand-over", breaks = "creation",
    what = "the password of a user that is being created is given to whoever reads the store",
    make = function(undo)
      replace(undo, record, "candidates", function(old)
        return function(rec)
          local list = old(rec)
          if rec.bootstrap then list[#list + 1] = { epoch = 0, password = rec.bootstrap.password, source = "bootstrap" } end
          return list
        end
      end)
    end,
  },
  {
    name = "versions-restart", rare = true,
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
function M.apply(name)
  for _, variant in ipairs(M.list) do
    if variant.name == name then
      local undo = {}
      variant.make(undo)
      return function()
        for i = #undo, 1, -1 do undo[i]() end
      end
    end
  end
  error("no variant " .. tostring(name), 2)
end

return M

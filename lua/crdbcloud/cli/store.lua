--- `crdbcloud store init|verify|rekey`: the store alone, without the API; `store pair`: which SQL server is the cluster's.

local confirm = require "crdbcloud.cli.confirm"
local core = require "crdbcloud.core"
local durations = require "crdbcloud.base.durations"
local printing = require "crdbcloud.base.printing"
local session = require "crdbcloud.cli.session"
local same_cluster = require "crdbcloud.run.same_cluster"
local store = require "crdbcloud.store"

local M = {}

local VERIFY = { "record", "status", "state", "epoch", "sealed", "note" }
local REKEY = { "record", "result", "sealed", "note" }

-- Results of rekey that leave nothing to do.
local DONE = { sealed = true, ["as it was"] = true, gone = true }

local function init(run)
  local url, opts = run:store_spec "store init"
  if not url then return nil, opts end
  local text, err = store.init(url, { ca_file = opts.ca_file })
  if not text then return nil, err end
  printing.say(io.stdout, text .. "\n")
  return true
end

local function open(run, operation, opts)
  local url, spec = run:store_spec(operation)
  if not url then return nil, spec end
  for name, value in pairs(opts or {}) do spec[name] = value end
  local opened, err = store.open(url, spec)
  if not opened then return nil, err end
  for _, text in ipairs(opened:warnings()) do run:say("warning: " .. text) end
  return opened
end

-- The row names the record already.
local function note_of(err)
  return (err.message:gsub("^record .- was refused: ", ""))
end

local function verified(kept, key)
  local rec, version, form = kept:get(key)
  if rec then return { record = key, status = "ok", state = rec.state, epoch = rec.epoch, sealed = form } end
  if not version then return { record = key, status = "gone", note = "removed in the meantime" } end
  return { record = key, status = "refused", note = note_of(version) }
end

local function verify(run)
  local kept, err = open(run, "store verify")
  if not kept then return nil, err end
  if kept.missing then return nil, store.failed("store " .. kept.url, "there is no directory " .. kept.dir, { outcome = "not_sent" }) end
  local keys
  keys, err = kept:list ""
  local rows, refused = {}, 0
  for i, key in ipairs(keys or {}) do
    rows[i] = verified(kept, key)
    if rows[i].status == "refused" then refused = refused + 1 end
  end
  kept:close()
  if not keys then return nil, err end
  run.out:rows(VERIFY, rows)
  run:say(("%d records, %d refused"):format(#rows, refused))
  return refused == 0 or 1
end

-- Seals one record with the first key. Whoever works on it is waited for by the caller; a change that comes
-- in between is kept, as the record is written by its version only.
local function seal(kept, key, key_id)
  local lock, err = kept:lock(key, "store rekey")
  if not lock then return { record = key, result = err.kind == "busy" and "busy" or "failed", note = tostring(err) } end
  local rec, version, form = kept:get(key)
  local row
  if not rec then
    row = { record = key, result = version and "refused" or "gone", note = version and note_of(version) }
  elseif form == key_id then
    row = { record = key, result = "as it was", sealed = key_id }
  else
    local ok, why = kept:put(key, rec, version)
    row = { record = key, result = ok and "sealed" or why.kind == "conflict" and "busy" or "failed", sealed = ok and key_id or form,
      note = not ok and tostring(why) or nil }
  end
  lock.close()
  return row
end

-- All records, each met again until it is free or the time to wait is over.
local function seal_all(run, kept, keys, key_id, wait)
  local rows, left, busy = {}, 0, 0
  local give_up = core.monotonic() + wait
  for i, key in ipairs(keys) do
    local row = { record = key, result = "untouched", note = "interrupted" }
    while not run:interrupted() do
      row = seal(kept, key, key_id)
      if row.result ~= "busy" or core.monotonic() > give_up or not core.sleep(0.2) then break end
    end
    rows[i] = row
    if not DONE[row.result] then left = left + 1 end
    if row.result == "busy" then busy = busy + 1 end
  end
  return rows, left, busy
end

local function rekey(run, args)
  if not args.store_key_file then
    return session.usage("store rekey seals with the first key of a file, and none was named", "give --store-key-file FILE")
  end
  -- What is in the clear is taken as it is: that it gets sealed is what was asked for.
  local kept, err = open(run, "store rekey", { plaintext = true })
  if not kept then return nil, err end
  local key_id = kept.codec and kept.codec.key_id
  if not key_id then
    kept:close()
    return session.usage("this store seals nothing: " .. tostring(kept))
  end
  run:guard()
  local keys
  keys, err = kept:list ""
  if not keys then return nil, err end
  local rows, left, busy = seal_all(run, kept, keys, key_id, args.wait)
  kept:close()
  run.out:rows(REKEY, rows)
  if left == 0 then
    run:say(("%d records, all sealed with key %s: other keys may leave the file"):format(#rows, key_id))
    return true
  end
  run:say(("%d of %d records are not sealed with key %s: keep the other keys, and run it again"):format(left, #rows, key_id))
  local signal = run:interrupted()
  return signal and 128 + signal or busy == #rows and 7 or left < #rows and 3 or 1
end

-- Shows both sides and records that they are one, if a person says so.
local function pair(run)
  local cluster, err = run:cluster()
  if not cluster then return nil, err end
  run:guard()
  local look
  look, err = cluster:pair_sql()
  if not look then return nil, err end
  if look.proof then
    run.out:record(same_cluster.COLUMNS, same_cluster.row(look))
    run:say "nothing to pair: they are one cluster already"
    return true
  end
  printing.say(io.stderr, tostring(look) .. "\n")
  local ok
  ok, err = confirm.cluster(run, ("This records that the server %s is the cluster %s."):format(look.server_id, look.name), look.name)
  if not ok then return nil, err end
  look, err = cluster:pair_sql { confirm = look.cluster_id }
  if not look then return nil, err end
  run.out:record(same_cluster.COLUMNS, same_cluster.row(look))
  return true
end

-- For argparse: a time as seconds.
local function seconds_of(text)
  local seconds, expected = durations.read(text)
  if not seconds then return nil, ("--wait '%s' %s"):format(text, expected) end
  return seconds
end

local function on(run) return function(args) args.run = run end end

function M.register(parser)
  local group = parser:command "store":target "store_group":summary "Set up, check and seal the store."
    :description "Works on the store of --store or CRDBCLOUD_STORE; only pair needs an API key."
  group:command_target "subcommand"

  group:command "init":action(on(init))
    :description "Makes the directory or the tables of the store. What is there already stays as it is."
  group:command "verify":action(on(verify))
    :description "Reads every record and names those that are refused; exit 1 if there are any."
  confirm.options(group:command "pair":action(on(pair))
    :description("Shows the addresses that the API names for the cluster and the server that --sql reaches, and records that they are one. "
      .. "Needed once, where SQL goes through a tunnel, a proxy or a name of your own."), true)
  local rekey_command = group:command "rekey":action(on(rekey))
    :description("Seals every record with the first key of --store-key-file; the other keys in it open what they sealed. "
      .. "It may be stopped or killed at any point and run again.")
  rekey_command:option "--wait":argname "TIME":default "30s":convert(seconds_of)
    :description "How long to wait for records that a run is working on."
end

return M

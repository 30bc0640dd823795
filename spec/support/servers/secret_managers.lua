--- Real secret managers for specs: an etcd server of its own, a password store of its own.

local temp = require "spec.support.temp"
local wait = require "spec.support.wait"

local M = {}

--- Words before a program that keep what the specs' own interpreter needs (a preloaded sanitizer) from it.
M.PLAIN = { "env", "-u", "LD_PRELOAD", "-u", "ASAN_OPTIONS", "-u", "LSAN_OPTIONS", "-u", "UBSAN_OPTIONS" }

--- A command behind PLAIN; words of the form NAME=VALUE may come first.
---@return string[]
function M.command(...)
  local words = {}
  for i, word in ipairs(M.PLAIN) do words[i] = word end
  for i = 1, select("#", ...) do words[#words + 1] = (select(i, ...)) end
  return words
end

-- The server ends when this process closes the pipe, however that comes about.
local ETCD = [[
set -u
dir=$1
for try in 1 2 3 4 5 6 7 8 9 10; do
  port=$(( 20000 + ($(od -An -N2 -tu2 /dev/urandom) % 20000) ))
  at=http://127.0.0.1:$port peer=http://127.0.0.1:$((port + 1))
  rm -rf "$dir/data"
  etcd --data-dir "$dir/data" --listen-client-urls $at --advertise-client-urls $at --listen-peer-urls $peer \
    --initial-advertise-peer-urls $peer --initial-cluster default=$peer >"$dir/log" 2>&1 &
  pid=$!
  # Ready is a server that answers.
  until etcdctl --endpoints $at get x --limit=1 >/dev/null 2>&1; do
    kill -0 $pid 2>/dev/null || continue 2
    sleep 0.05
  done
  printf '%s' "$at" >"$dir/endpoint.new" && mv "$dir/endpoint.new" "$dir/endpoint"
  read -r _
  break
done
kill $pid 2>/dev/null
wait $pid 2>/dev/null
]]

--- Starts etcd.
---@return { endpoint: string, stop: fun() }
function M.etcd()
  local dir = temp.run("mktemp -d"):gsub("%s+$", "")
  temp.write(dir .. "/guard", ETCD)
  local guard = assert(io.popen(("exec >/dev/null 2>&1; exec %s setsid --wait sh %s/guard %s"):format(
    table.concat(M.PLAIN, " "), dir, dir), "w"))
  local server = { endpoint = wait("etcd", function() return temp.read(dir .. "/endpoint") end) }
  function server.stop()
    guard:close()
    temp.run("rm -rf " .. dir)
  end
  return server
end

--- Makes a key and a password store; stop() ends the agent that gpg has started.
---@return { env: string[], dir: string, stop: fun() } env: NAME=VALUE for the commands
function M.pass()
  -- A socket's path is short, so the directory is made right below /tmp.
  local dir = temp.run("mktemp -d /tmp/crdbcloud-pass.XXXXXX"):gsub("%s+$", "")
  local env = { "GNUPGHOME=" .. dir .. "/gnupg", "PASSWORD_STORE_DIR=" .. dir .. "/store" }
  local words = table.concat(M.PLAIN, " ") .. " " .. table.concat(env, " ")
  local out, status = temp.run(([[mkdir -m 700 %s/gnupg && %s gpg --batch --quiet --passphrase '' \
    --quick-generate-key 'spec <spec@example.com>' future-default default never && %s pass init spec@example.com]]):format(dir, words, words))
  assert(status == 0, out)
  return {
    env = env, dir = dir,
    stop = function() temp.run(("%s gpgconf --kill gpg-agent; rm -rf %s"):format(words, dir)) end,
  }
end

return M

---@meta crdbcloud.core
-- Declarations of the C module crdbcloud.core, for editors and the surface check; never loaded.
-- What fails in operation returns nil, a message and a code: an errno name such as "ENOENT", or
-- the word given at the function. Misuse raises. Durations are seconds, sizes are bytes.

---@class crdbcloud.core
---@field version string
local core = {}

---@class crdbcloud.secret: userdata bytes that are wiped; prints as <secret 32 bytes>
local secret = {}

--- The only way out: a Lua string, which cannot be wiped.
---@return string
function secret:reveal() end

--- Compares in constant time.
---@param other string|crdbcloud.secret
---@return boolean
function secret:equals(other) end

---@param form "json"|"uri"|"pgpass"|"base64"|"hex" json: escaped, without quotes
---@return crdbcloud.secret
function secret:encode(form) end

---@param form "hex"|"base64" that the bytes are text in
---@return crdbcloud.secret|nil
---@return string? message
function secret:decode(form) end

--- Wipes this reference's bytes if it is the last; closing twice is allowed.
function secret:close() end

---@param bytes string
---@return crdbcloud.secret
function core.secret(bytes) end

---@param parts (string|crdbcloud.secret)[]
---@return crdbcloud.secret
function core.secret_join(parts) end

--- One trailing newline is dropped; a file that others can read is refused.
---@param path string
---@return crdbcloud.secret|nil
---@return string? message
---@return string? code "mode", "type", "large", "empty", "nul" or an errno name
function core.secret_from_file(path) end

---@param name string of an environment variable
---@return crdbcloud.secret|nil
---@return string? message
---@return "unset"|"empty"? code
function core.secret_from_env(name) end

--- Asks on the terminal without echo.
---@param text string
---@return crdbcloud.secret|nil
---@return string? message
---@return string? code "empty", "large" or an errno name: "ENXIO" without a terminal
function core.secret_prompt(text) end

---@return boolean
function core.is_secret(v) end

---@param length integer? default 32
---@param alphabet string? 2 to 256 distinct bytes; default letters and digits
---@param classes string[]? at least one character of each
---@return crdbcloud.secret|nil
---@return string? message
function core.password(length, alphabet, classes) end

--- What is wrong with a password of any length, judged without making it a Lua string; nil for one that core.password
--- made of printable ASCII. A word, the user's name among them, counts in any case, alone or with
--- digits and signs behind it.
---@param password string|crdbcloud.secret
---@param user string? whose it is to be
---@param words string[]? that it may not be
---@return "utf8"|"control"|"hash"|"name"|"common"|nil
function core.password_problem(password, user, words) end

---@param bytes integer
---@return string hex twice as long; for ids, not for secrets
function core.random_hex(bytes) end

---@return number random within [0, 1); no two processes have the same, other than with math.random
function core.random() end

--- Lower case and NFC, as CockroachDB folds names.
---@param name string
---@return string|nil folded
---@return string? reason "utf8"
function core.fold_name(name) end

---@param folded string
---@return nil|"empty"|"long"|"start"|"character" problem
---@return integer? byte_offset counted from 1
function core.name_problem(folded) end

---@return number seconds that only go forward
function core.monotonic() end
---@return number seconds that also count while the machine sleeps
function core.boottime() end
---@return number seconds since 1970
function core.time() end

---@param seconds number
---@return boolean slept false: a signal that core.interrupts counts came
function core.sleep(seconds) end

--- SIGINT, SIGTERM and SIGHUP only count from here on and SIGPIPE is ignored, or all are as before; for commands.
--- A SIGHUP that is ignored already (nohup) stays so.
---@param on boolean
---@param last_words string? given: a second SIGINT or SIGTERM, 0.3 s or more after the first, writes this to standard error and
---  ends the process with 128 and its number
function core.interrupts(on, last_words) end

---@return integer|nil signal
---@return integer? count
function core.interrupted() end

--- Waits until one of the descriptors can be read or was closed by its other end; interrupts do not end the wait.
---@param fds integer[] at most 256
---@param seconds number
---@return integer[] ready empty when the time is over
function core.readable(fds, seconds) end

--- Waits for a turn of the account's budget, which all threads of the process share. Once a signal was counted
--- (core.interrupts), it does not wait for the end of a hold that lasts a second more.
---@param account string
---@param rate number per second; 0: no wait
---@param max_wait number seconds; a longer wait takes no turn
---@return number|nil waited
---@return number? needed
---@return "interrupted"? why
function core.pace(account, rate, max_wait) end

--- No turn before now + seconds.
---@param account string
---@param seconds number
function core.pace_hold(account, seconds) end

---@class crdbcloud.lock: userdata
local lock = {}

--- Gives the lock back; closing twice is allowed.
function lock:close() end

--- False once it is closed, or when somebody has removed or replaced the file: another may hold a lock of that name.
---@param path string of the lock file
---@return boolean
function lock:holds(path) end

---@param path string of the lock file, which stays
---@param note string for whoever finds it held
---@return crdbcloud.lock|nil
---@return string? message
---@return string? code "busy" or an errno name
---@return string? note of the holder, when busy
function core.lock(path, note) end

---@param path string
---@param opts { max: integer?, private: boolean? }? private: owner's alone
---@return crdbcloud.secret|nil
---@return string? message
---@return string? code "mode", "owner", "type", "symlink", "large" or an errno name
function core.read_file(path, opts) end

--- Replaces a file atomically and durably.
---@param path string
---@param bytes string|crdbcloud.secret
---@param opts { mode: integer? }? default 384 (0600)
---@return true|nil
---@return string? message
---@return string? code "symlink", "type", "owner" or an errno name
function core.write_file(path, bytes, opts) end

---@param path string
---@return true|nil
---@return string? message
---@return string? code
function core.remove_file(path) end

---@param path string
---@return string[]|nil names sorted
---@return string? message
---@return string? code
function core.list_dir(path) end

--- Makes a directory with mode 0700, parents too.
---@param path string
---@return true|nil
---@return string? message
---@return string? code
function core.make_dir(path) end

---@param path string
---@return { type: string, mode: integer, uid: integer, size: integer, mtime: number, fs: string }|nil
---@return string? message
---@return string? code
function core.stat(path) end

--- The working directory, without a slash at its end.
---@return string|nil
---@return string? message
---@return string? code
function core.cwd() end

---@return integer
function core.euid() end
---@return integer
function core.pid() end
---@return string
function core.hostname() end
---@param fd integer
---@return boolean
function core.is_terminal(fd) end
---@param fd integer
---@return integer|nil columns
function core.terminal_width(fd) end

--- A record file: metadata as JSON, passwords beside it, a checksum at the end.
---@param meta string JSON
---@param secrets table<string, crdbcloud.secret> names [a-z0-9_]{1,32}
---@param sealing { key: crdbcloud.secret, aad: table<string, string> }? seals each secret; aad: what it is bound to
---@return crdbcloud.secret
function core.record_encode(meta, secrets, sealing) end

--- What stands beside the secrets; opens none.
---@param bytes crdbcloud.secret
---@return string|nil meta
---@return table<string, string>|string forms "plain" or the id of a key; or the message
---@return "torn"|"foreign"|"newer"? code
function core.record_meta(bytes) end

---@param bytes crdbcloud.secret
---@param opening { keys: crdbcloud.secret[], aad: table<string, string> }?
---@return string|nil meta
---@return table<string, crdbcloud.secret>|string secrets or message
---@return "torn"|"foreign"|"newer"|"sealed"|"tampered"? code
function core.record_decode(bytes, opening) end

--- Reads a file of keys: one a line, 64 hexadecimal digits or base64, "#" before a comment.
---@param text crdbcloud.secret
---@return crdbcloud.secret[]|nil keys 32 bytes each
---@return string? message
---@return "key"|"empty"|"large"? code
function core.seal_keys(text) end

---@param key crdbcloud.secret 32 bytes
---@return string 16 hexadecimal digits
function core.seal_key_id(key) end

--- One line of a password file replaced, added or taken away; all others stay byte for byte.
---@param file crdbcloud.secret|nil its content
---@param line { host: string, port: string, database: string, user: string }
---@param password crdbcloud.secret|false false takes the line away
---@return crdbcloud.secret
function core.pgpass_update(file, line, password) end

--- One variable of an environment file set or taken away; all else stays byte for byte. A comment before it tells its epoch.
---@param file crdbcloud.secret|nil its content
---@param entry { key: string, dialect: "posix"|"docker"|"systemd", epoch: integer }
---@param password string|crdbcloud.secret|false false takes the variable away
---@return crdbcloud.secret|nil
---@return string? message
---@return string? code "value": the dialect cannot hold the password, "newer": a later epoch is there, "content": a file that is not edited
function core.dotenv_update(file, entry, password) end

--- The JSON of one member of an object, unless it is a string: those may be secrets.
---@param document crdbcloud.secret
---@param key string
---@return string|nil
function core.json_member(document, key) end

--- Takes string members of a JSON object out as secrets.
---@param document crdbcloud.secret
---@param keys string[]
---@return string|nil rest the document with null in their place
---@return table<string, crdbcloud.secret>|string secrets or message
function core.json_take(document, keys) end

--- Leaves a secret for another Lua state of this process, which fetches it with `take`, once, within 60 seconds. Not
--- across a fork.
---@param lent crdbcloud.secret
---@return string|nil ticket 32 hexadecimal digits that mean nothing outside this process
---@return string? message
---@return "full"? code 1024 are waiting
function core.lend(lent) end

---@param ticket string
---@return crdbcloud.secret|nil
---@return string? message
---@return "gone"? code wrong, used, or too old
function core.take(ticket) end

--- Tells whether two secrets are the same, for keys of caches: HMAC-SHA-256 under a random key of this process.
---@param bytes string|crdbcloud.secret
---@return string 64 hexadecimal digits that mean nothing outside this process
function core.fingerprint(bytes) end

--- Runs a program to its end: no shell, no descriptor of ours, a session of its own (so no terminal to ask on).
--- At the time limit all that it started in that session is ended: SIGTERM, and SIGKILL two seconds later.
---
--- env is added to PATH, HOME, USER, LOGNAME, SHELL, LANG, LC_*, TZ, TMPDIR, XDG_RUNTIME_DIR and XDG_CONFIG_HOME, or
--- with inherit to all but COCKROACH_*, CRDBCLOUD_* and PGPASSWORD. max_output is per stream, default 1 MiB; what is
--- longer is cut. An argument cannot be a secret, as every user of a machine sees arguments.
---@param argv string[] the program, looked for in PATH unless it has a "/", and its arguments
---@param opts crdbcloud.core.run_options
---@return crdbcloud.core.run|nil
---@return string? message it could not be started, or ("ETIMEDOUT") not be killed
---@return string? code an errno name
function core.run(argv, opts) end

--- Becomes another program: same process, terminal and exit status. What is open and not marked close-on-exec stays open.
---@param argv string[] the program, looked for in PATH unless it has a "/", and its arguments
---@param env table<string, string|crdbcloud.secret>? added to all of the environment
---@return nil it returns only when the program could not be started
---@return string message
---@return string code an errno name
function core.exec(argv, env) end

---@class crdbcloud.core.run_options
---@field timeout number seconds
---@field stdin (string|crdbcloud.secret)?
---@field env table<string, string|crdbcloud.secret>?
---@field inherit boolean?
---@field cwd string?
---@field max_output integer? bytes

---@class crdbcloud.core.run
---@field status integer? exit status; without status and signal it is not known: somebody killed the process that kept it
---@field signal integer? that ended it
---@field stdout crdbcloud.secret it may hold passwords
---@field stderr crdbcloud.secret
---@field timed_out boolean
---@field truncated boolean a stream was cut at max_output

---@class crdbcloud.core.result one exchange; never raised, never nil
---@field outcome "applied"|"rejected"|"not_sent"|"unknown"
---@field kind string? of crdbcloud.kind
---@field reason string? finer than kind
---@field status integer 0: no answer
---@field code integer? gRPC
---@field message string? redacted
---@field body string? redacted
---@field content_type string?
---@field retry_after number? seconds
---@field curl integer CURLcode
---@field elapsed number seconds
---@field sent boolean
---@field http string? "1.1" or "2"
---@field new_connection boolean

---@class crdbcloud.client: userdata one connection to the API; one exchange per call
local client = {}

---@param options table base_url, api_key, vanity_name, username, api_version, connect_timeout, timeout, ca_file, ca_path, proxy, user_agent, max_body
---@return crdbcloud.client
function core.client(options) end

---@return crdbcloud.core.result
function client:list_sql_users(cluster_id, options) end
--- The API makes every user an admin.
---@return crdbcloud.core.result
function client:create_sql_user(cluster_id, name, password, options) end
---@return crdbcloud.core.result
function client:delete_sql_user(cluster_id, name, options) end
---@return crdbcloud.core.result
function client:update_sql_user_password(cluster_id, name, password, options) end
---@return crdbcloud.core.result
function client:list_clusters(options) end
---@return crdbcloud.core.result
function client:get_cluster(cluster_id, options) end
---@return crdbcloud.core.result
function client:get_connection_string(cluster_id, options) end
---@return crdbcloud.core.result
function client:list_databases(cluster_id, options) end
---@return crdbcloud.core.result
function client:list_audit_logs(options) end
---@return crdbcloud.core.result
function client:request(method, path, options) end
--- Wipes the key; closing twice is allowed.
function client:close() end

return core

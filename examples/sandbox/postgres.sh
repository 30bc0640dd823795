# The PostgreSQL server of the sandbox. Sourced by `sandbox`; uses $dir, $root (yes or no) and die.

postgres_bin() {
  local found
  for found in /usr/lib/postgresql/*/bin; do :; done
  [ -x "$found/postgres" ] || die "PostgreSQL is not installed (Debian: postgresql)"
  echo "$found"
}

# PostgreSQL refuses to run as root.
as_postgres() {
  if [ "$root" = yes ]; then
    setpriv --reuid=postgres --regid=postgres --clear-groups -- env -i PATH="$PATH" LC_ALL=C "$@"
  else
    env -i PATH="$PATH" LC_ALL=C "$@"
  fi
}

# psql as the superuser `root`, over the unix socket.
root_psql() {
  env -i PATH="$PATH" LC_ALL=C PGPASSFILE="$dir/root.pgpass" \
    psql -X -q -h "$dir/pg" -p "$sql_port" -U root -v ON_ERROR_STOP=1 "$@"
}

postgres_init() {
  local bin=$1 root_password=$2
  # As root, nginx's worker must reach the socket in here; the data has a directory of its own.
  mkdir -m 711 "$dir/pg"
  (umask 077 && printf '%s\n' "$root_password" >"$dir/pg/password")
  cp "$dir/tls/server.pem" "$dir/tls/server.key" "$dir/pg/"
  chmod 600 "$dir/pg/server.key"
  [ "$root" = no ] || chown -R postgres:postgres "$dir/pg"
  (cd / && as_postgres "$bin/initdb" -D "$dir/pg/data" -U root --pwfile="$dir/pg/password" -A scram-sha-256 \
    -E UTF8 --locale=C --no-sync --no-instructions --wal-segsize=1) >"$dir/pg.out" 2>&1 || die "initdb failed: $(tail -n 3 "$dir/pg.out")"
  rm -f "$dir/pg/password" "$dir/pg.out"
  # Everyone proves a password, and over TCP by TLS only.
  as_postgres tee "$dir/pg/data/pg_hba.conf" >/dev/null <<EOF
local all all scram-sha-256
hostssl all all 127.0.0.1/32 scram-sha-256
hostssl all all ::1/128 scram-sha-256
EOF
  # No statement reaches the log, since one may hold a password. Nothing of this outlives the
  # sandbox, so nothing is synced; shared memory lives in the directory, to go with it.
  as_postgres tee -a "$dir/pg/data/postgresql.conf" >/dev/null <<EOF
listen_addresses = '$addresses'
unix_socket_directories = '$dir/pg'
max_connections = 200
shared_buffers = 32MB
dynamic_shared_memory_type = mmap
min_wal_size = 2MB
max_wal_size = 64MB
fsync = off
full_page_writes = off
autovacuum = off
ssl = on
ssl_cert_file = '$dir/pg/server.pem'
ssl_key_file = '$dir/pg/server.key'
log_statement = none
log_min_error_statement = panic
lc_messages = 'C'
EOF
}

# Starts the server on $sql_port, with further options of its own. Returns 1 when it does not come up.
postgres_start() {
  local bin=$1
  shift
  (cd / && as_postgres "$bin/pg_ctl" -D "$dir/pg/data" -w -t 60 -l "$dir/pg/log" -o "-p $sql_port $*" start) </dev/null >/dev/null 2>&1
}

postgres_pid() { head -n 1 "$dir/pg/data/postmaster.pid" 2>/dev/null; }

# With QUIT the server ends without a checkpoint, for data that is thrown away or replaced; with
# INT it leaves clean files.
postgres_stop() { end_process "$(postgres_pid)" "$1"; }

# Keeps the seeded state for `reset`, and goes back to it.
postgres_keep() { as_postgres cp -a "$dir/pg/data" "$dir/pg/seed"; }

postgres_restore() {
  as_postgres rm -rf "$dir/pg/data"
  as_postgres cp -a "$dir/pg/seed" "$dir/pg/data"
}

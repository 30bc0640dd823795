# The PostgreSQL servers of the sandbox, one for each cluster that has a SQL side. Sourced by `sandbox`; uses $dir,
# $root (yes or no) and die. A server is named by its directory: $dir/pg or $dir/pg-two.

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
  local pg=$1 port=$2
  shift 2
  env -i PATH="$PATH" LC_ALL=C PGPASSFILE="$dir/root.pgpass" \
    psql -X -q -h "$pg" -p "$port" -U root -v ON_ERROR_STOP=1 "$@"
}

# The directory of one server. As root, nginx's worker must reach the socket in here; the data lies deeper.
postgres_directory() {
  local pg=$1
  mkdir -m 711 "$pg"
  cp "$dir/tls/server.pem" "$dir/tls/server.key" "$pg/"
  chmod 600 "$pg/server.key"
  [ "$root" = no ] || chown -R postgres:postgres "$pg"
}

# Where a server's own files are; of a setting that stands twice the last counts.
postgres_place() {
  local pg=$1
  as_postgres tee -a "$pg/data/postgresql.conf" >/dev/null <<EOF
unix_socket_directories = '$pg'
ssl_cert_file = '$pg/server.pem'
ssl_key_file = '$pg/server.key'
EOF
}

postgres_init() {
  local bin=$1 root_password=$2 pg=$dir/pg
  postgres_directory "$pg"
  (umask 077 && printf '%s\n' "$root_password" >"$pg/password")
  [ "$root" = no ] || chown postgres:postgres "$pg/password"
  (cd / && as_postgres "$bin/initdb" -D "$pg/data" -U root --pwfile="$pg/password" -A scram-sha-256 \
    -E UTF8 --locale=C --no-sync --no-instructions --wal-segsize=1) >"$dir/pg.out" 2>&1 || die "initdb failed: $(tail -n 3 "$dir/pg.out")"
  rm -f "$pg/password" "$dir/pg.out"
  # Everyone proves a password, and over TCP by TLS only.
  as_postgres tee "$pg/data/pg_hba.conf" >/dev/null <<EOF
local all all scram-sha-256
hostssl all all 127.0.0.1/32 scram-sha-256
hostssl all all ::1/128 scram-sha-256
EOF
  # No statement reaches the log, since one may hold a password. Nothing of this outlives the
  # sandbox, so nothing is synced; shared memory lives in the directory, to go with it.
  as_postgres tee -a "$pg/data/postgresql.conf" >/dev/null <<EOF
listen_addresses = '$addresses'
max_connections = 200
shared_buffers = 32MB
dynamic_shared_memory_type = mmap
min_wal_size = 2MB
max_wal_size = 64MB
fsync = off
full_page_writes = off
autovacuum = off
ssl = on
log_statement = none
log_min_error_statement = panic
lc_messages = 'C'
EOF
  postgres_place "$pg"
}

# A second server from the files of the first, before anything is in them. Eight random bytes become its identifier,
# as initdb would have made one; pg_resetwal completes the file and the log for it.
postgres_copy() {
  local bin=$1 pg=$2
  postgres_directory "$pg"
  as_postgres cp -a "$dir/pg/data" "$pg/data"
  as_postgres dd if=/dev/urandom of="$pg/data/global/pg_control" bs=8 count=1 conv=notrunc status=none
  (cd / && as_postgres "$bin/pg_resetwal" -f -D "$pg/data") >"$pg.out" 2>&1 || die "pg_resetwal failed: $(tail -n 3 "$pg.out")"
  rm -f "$pg.out"
  postgres_place "$pg"
}

# Starts a server on a port, with further options of its own. Returns 1 when it does not come up.
postgres_start() {
  local bin=$1 pg=$2 port=$3
  shift 3
  (cd / && as_postgres "$bin/pg_ctl" -D "$pg/data" -w -t 60 -l "$pg/log" -o "-p $port $*" start) </dev/null >/dev/null 2>&1
}

postgres_pid() { head -n 1 "$1/data/postmaster.pid" 2>/dev/null; }

# With QUIT the server ends without a checkpoint, for data that is thrown away or replaced; with
# INT it leaves clean files.
postgres_stop() { end_process "$(postgres_pid "$1")" "$2"; }

# Keeps the seeded state for `reset`, and goes back to it.
postgres_keep() { as_postgres cp -a "$1/data" "$1/seed"; }

postgres_restore() {
  as_postgres rm -rf "$1/data"
  as_postgres cp -a "$1/seed" "$1/data"
}

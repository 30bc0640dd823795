#!/bin/bash
# The whole story against the sandbox: limited users created, every password rotated, a run killed
# in mid-send and finished. Everything claimed is checked with psql, by queries and real logins.
# Usage: make demo            exit 0 only if all of it holds
set -u
cd "$(dirname "$0")/.." || exit 1
sandbox=examples/sandbox/sandbox
for name in $(compgen -v | grep -E '^(COCKROACH_|CRDBCLOUD_|PG|LUA_)'); do unset "$name"; done
work=$(mktemp -d) transcript=$work/transcript
mkdir "$work/pgpass" "$work/old"
started_pid=
finish() {
    [[ -n $started_pid ]] && kill -9 "$started_pid" 2>/dev/null
    [[ -n ${CRDBCLOUD_SANDBOX:-} ]] && "$sandbox" stop >/dev/null
    exec >&- 2>&-
    wait "$tee_pid"
    rm -rf "$work"
}
trap finish EXIT
exec > >(tee "$transcript") 2>&1
tee_pid=$!

bold() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[[ -t 1 && -z ${NO_COLOR:-} ]] || bold() { printf '\n== %s\n' "$*"; }
failed=0
ok() { printf '   ok      %s\n' "$*"; }
wrong() { printf '   WRONG   %s\n' "$*"; failed=$((failed + 1)); }
show() {
    printf '$ crdbcloud'
    for word in "$@"; do [[ $word =~ ^[A-Za-z0-9_.,:/=@-]+$ ]] && printf ' %s' "$word" || printf " '%s'" "$word"; done
    printf '\n'
}
run() { show "$@"; crdbcloud "$@"; }

# psql as a user, with the password from a file that our pgpass sink wrote.
login() { # password file, user, statement
    PGPASSFILE=$1 PGCONNECT_TIMEOUT=10 psql -XAtq -v ON_ERROR_STOP=1 -U "$2" "$app_url" -c "$3" 2>&1 </dev/null
}
admin_sql() { psql -XAtq -v ON_ERROR_STOP=1 "$ADMIN_DATABASE_URL" "$@"; }
allowed() { # user, what, statement
    if out=$(login "$work/pgpass/$1" "$1" "$3"); then ok "$1 may $2"; else wrong "$1 may not $2: $out"; fi
}
refused() {
    if out=$(login "$work/pgpass/$1" "$1" "$3"); then
        wrong "$1 may $2"
    elif [[ $out == *"permission denied"* || $out == *"must have admin option"* ]]; then
        ok "$1 may not $2"
    else
        wrong "$1: $2 failed for another reason: $out"
    fi
}
# Membership in admin, directly or through any chain of roles.
admin_paths() {
    admin_sql -v u="$1" <<'SQL'
WITH RECURSIVE up(oid, path) AS (
  SELECT oid, rolname::text FROM pg_roles WHERE rolname = :'u'
  UNION SELECT m.roleid, up.path || ' -> ' || r.rolname
  FROM up JOIN pg_auth_members m ON m.member = up.oid JOIN pg_roles r ON r.oid = m.roleid)
SELECT path FROM up JOIN pg_roles r USING (oid) WHERE r.rolname = 'admin' OR r.rolsuper OR r.rolcreaterole
SQL
}

bold "A sandbox: nginx as the Cloud API over TLS, PostgreSQL as the cluster"
exports=$("$sandbox" start) || { echo "the sandbox did not start"; exit 1; }
eval "$exports"
app_url=${ADMIN_DATABASE_URL/:\/\/*@/:\/\/}
run doctor || wrong "exit $?"
cluster=$(crdbcloud whoami -o json | jq -r .cluster)

bold "A user made by the bare API is an admin"
head -c 24 /dev/urandom | base64 >"$work/pw" && chmod 600 "$work/pw"
run user create bare_user --admin --yes --password-file "$work/pw"
path=$(admin_paths bare_user)
if [[ -n $path ]]; then ok "SQL says so: $path"; else wrong "bare_user is no admin; the checks below would prove nothing"; fi

bold "Five application users that are never handed out as admins"
run app-user create payment_service --owner payments@example.com --database shop --table orders,customers \
    --privilege SELECT,INSERT,UPDATE --sink "pgpass:$work/pgpass/{user}" || wrong "exit $?"
for user in reporting billing search audit_trail; do
    run --quiet app-user create "$user" --owner team@example.com --database shop --preset readonly \
        --sink "pgpass:$work/pgpass/{user}" >"$work/out" || { cat "$work/out"; wrong "exit $?"; }
done
users=(audit_trail billing payment_service reporting search)
for user in "${users[@]}"; do
    path=$(admin_paths "$user")
    if [[ -z $path ]]; then ok "$user is no admin, directly or through a role"; else wrong "$user is an admin: $path"; fi
done

bold "What payment_service can do, by its own login"
allowed payment_service "read orders" "SELECT count(*) FROM orders"
allowed payment_service "write customers" "UPDATE customers SET id = id"
refused payment_service "read payments" "SELECT count(*) FROM payments"
refused payment_service "delete orders" "DELETE FROM orders"
refused payment_service "make a table" "CREATE TABLE mine (id int)"
refused payment_service "make a role" "CREATE ROLE another"
refused payment_service "make itself an admin" "GRANT admin TO payment_service"
refused reporting "write orders" "UPDATE orders SET id = id"

bold "The same command again changes nothing"
before=$("$sandbox" log | wc -l)
run --quiet app-user create payment_service --owner payments@example.com --database shop --table orders,customers \
    --privilege SELECT,INSERT,UPDATE --sink "pgpass:$work/pgpass/{user}" || wrong "exit $?"
writes=$("$sandbox" log | tail -n +$((before + 1)) | grep -cE '"(POST|PUT|DELETE)"')
if ((writes == 0)); then ok "no request that changes anything was sent"; else wrong "$writes writes were sent"; fi

bold "A rotation of all five, killed with SIGKILL while the third password change is on its way"
cp "$work/pgpass/"* "$work/old/"
"$sandbox" clear >/dev/null
"$sandbox" fault op=update_sql_user_password nth=3 what=delay seconds=30 >/dev/null || wrong "no fault set"
run rotate plan --managed
show rotate run --managed --confirm "$cluster"
crdbcloud rotate run --managed --confirm "$cluster" &
started_pid=$!
for ((i = 0; i < 600; i++)); do
    (($("$sandbox" log | grep -c '"update_sql_user_password"') >= 3)) && break
    kill -0 "$started_pid" 2>/dev/null || break
    sleep 0.05
done
kill -9 "$started_pid" && { wait "$started_pid"; ok "killed, exit $?"; } 2>/dev/null || wrong "the run was over before it could be killed"
started_pid=
"$sandbox" log | jq -r 'select(.op == "update_sql_user_password") | .path + " " + .password_hash' >"$work/sent"
"$sandbox" clear >/dev/null
run rotate status

bold "The next run finishes it, and then those that had not begun"
run rotate resume || wrong "exit $?"
rest=$(crdbcloud rotate status -o json | jq -r '[.rows[] | select(.epoch == 1) | .user] | join(",")')
run rotate run --user "$rest" --confirm "$cluster" || wrong "exit $?"
epochs=$(crdbcloud rotate status -o json | jq -r '[.rows[].epoch] | join(" ")')
if [[ $epochs == "2 2 2 2 2" ]]; then ok "each password was changed once"; else wrong "epochs are $epochs"; fi
"$sandbox" log | jq -r 'select(.op == "update_sql_user_password") | .path + " " + .password_hash' >>"$work/sent"
total=$(wc -l <"$work/sent") different=$(sort -u "$work/sent" | wc -l)
if ((total == 6 && different == 5)); then
    ok "the killed one was sent twice, both times the same password"
else
    wrong "$total changes were sent, $different different ones"
fi

bold "Old passwords are refused, new ones are accepted, by real logins"
for user in "${users[@]}"; do
    if out=$(login "$work/old/$user" "$user" "SELECT 1"); then
        wrong "$user: the old password still logs in"
    elif [[ $out == *"password authentication failed"* ]]; then
        ok "$user: old password refused"
    else
        wrong "$user: the old password failed for another reason: $out"
    fi
    out=$(login "$work/pgpass/$user" "$user" "SELECT current_user")
    if [[ $out == "$user" ]]; then ok "$user: new password accepted"; else wrong "$user: the new password is refused: $out"; fi
done

bold "Nothing secret in all of the above"
marker="end of what is searched: $RANDOM$RANDOM"
echo "   $marker"
for ((i = 0; i < 200; i++)); do grep -qF "$marker" "$transcript" && break || sleep 0.05; done
secrets=0
look_for() { # a file with one secret, whose
    secrets=$((secrets + 1))
    for form in "$(cat "$1")" "$(tr -d '\n' <"$1" | base64 -w0)" "$(tr -d '\n' <"$1" | od -An -v -tx1 | tr -d ' \n')"; do
        printf '%s' "$form" >"$work/needle"
        if grep -qF -f "$work/needle" "$transcript"; then wrong "$2 was printed"; fi
    done
}
for user in "${users[@]}"; do
    for file in "$work/old/$user" "$work/pgpass/$user"; do
        cut -d: -f5- "$file" >"$work/secret"
        look_for "$work/secret" "a password of $user"
    done
done
look_for "$work/pw" "the password of bare_user"
look_for "$COCKROACH_API_KEY_FILE" "the API key"
cut -d: -f5- "$PGPASSFILE" >"$work/secret"
look_for "$work/secret" "the password of the SQL administrator"
ok "looked for $secrets secrets, also in base64 and hexadecimal"

bold "$([[ $failed == 0 ]] && echo 'All of it holds.' || echo "$failed checks failed.")"
exit $((failed > 0))

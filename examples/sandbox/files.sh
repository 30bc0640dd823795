# The files in the sandbox's directory: certificates, keys, settings for nginx, shell exports.
# Sourced by `sandbox`; uses $dir, the options, the ports, and die.

# A random word of so many letters and digits.
random_word() {
  local word=
  while [ ${#word} -lt "$1" ]; do word=$word$(head -c 96 /dev/urandom | tr -dc A-Za-z0-9); done
  echo "${word:0:$1}"
}

new_uuid() { cat /proc/sys/kernel/random/uuid; }

make_certificates() {
  mkdir -m 700 "$dir/tls"
  cat >"$dir/tls/openssl.cnf" <<'EOF'
[req]
distinguished_name = name
prompt = no
[name]
CN = crdbcloud sandbox authority
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
authorityKeyIdentifier = keyid
subjectAltName = DNS:localhost, IP:127.0.0.1, IP:::1
EOF
  (
    cd "$dir/tls"
    openssl ecparam -genkey -name prime256v1 -noout -out ca.key
    openssl req -config openssl.cnf -x509 -new -key ca.key -extensions authority -days 30 -out ../ca.pem
    openssl ecparam -genkey -name prime256v1 -noout -out server.key
    openssl req -config openssl.cnf -new -key server.key -subj /CN=localhost -out server.csr
    openssl x509 -req -in server.csr -CA ../ca.pem -CAkey ca.key -set_serial "0x$(openssl rand -hex 8)" \
      -extfile openssl.cnf -extensions server -days 30 -out server.pem
    # Nobody can sign anything more with this authority.
    rm -f ca.key server.csr openssl.cnf
  ) >/dev/null 2>&1 || die "openssl could not make the certificates"
  chmod 644 "$dir/ca.pem"
}

make_keys() {
  local name
  mkdir -m 700 "$dir/keys"
  for name in admin other creator developer readonly org_admin invalid; do
    echo "CCDB1_$(random_word 22)_$(random_word 40)" >"$dir/keys/$name"
  done
  echo "$(random_word 30).$(random_word 60).$(random_word 43)" >"$dir/keys/jwt"
}

# Where nginx finds one SQL side, as JSON: as root, and for whoever proves a password. Needs $root_password.
sql_side() {
  local server="host='$1' port=$2 connect_timeout=10"
  printf '{"port":%s,"server":"%s","conninfo":"%s user=root password=%s"}' "$2" "$server" "$server" "$root_password"
}

write_settings() {
  local root_password=$1 name keys= separator=
  for name in admin other creator developer readonly org_admin jwt; do
    keys="$keys$separator\"$name\":\"$(cat "$dir/keys/$name")\""
    separator=,
  done
  cat >"$dir/settings.json" <<EOF
{"keys":{$keys},
"hash_key":"$(random_word 40)",
"clusters":{"one":"$cluster_id","two":"$(new_uuid)","twin_a":"$(new_uuid)","twin_b":"$(new_uuid)","new":"$(new_uuid)","old":"$(new_uuid)"},
"sql":{"one":$(sql_side "$dir/pg" "$sql_port"),"two":$(sql_side "$dir/pg-two" "$sql_port_two")},
"api_port":$api_port,"http_port":$http_port,
"ca":"$(awk '{ printf "%s\\n", $0 }' "$dir/ca.pem")",
"live":{"latency":$latency,"rate":$rate,"page_cap":$page_cap}}
EOF
}

write_environment() {
  local url two
  sql_url() { echo "postgresql://sandbox_admin@127.0.0.1:$1/shop?sslmode=verify-full&sslrootcert=$dir/ca.pem"; }
  url=$(sql_url "$sql_port")
  two=$(sql_url "$sql_port_two")
  quoted() { printf "export %s='%s'\n" "$1" "${2//\'/\'\\\'\'}"; }
  {
    quoted CRDBCLOUD_SANDBOX "$dir"
    quoted COCKROACH_SERVER "https://127.0.0.1:$api_port"
    quoted COCKROACH_API_KEY_FILE "$dir/keys/admin"
    quoted CRDBCLOUD_CA_FILE "$dir/ca.pem"
    quoted SSL_CERT_FILE "$dir/ca.pem"
    quoted CRDBCLOUD_CLUSTER "$cluster_id"
    quoted CRDBCLOUD_SQL "$url"
    # The SQL side of sandbox-two: CRDBCLOUD_CLUSTER=sandbox-two goes with this one.
    quoted CRDBCLOUD_SANDBOX_SQL_TWO "$two"
    quoted ADMIN_DATABASE_URL "$url"
    quoted PGPASSFILE "$dir/pgpass"
    quoted CRDBCLOUD_STORE "file:$dir/store"
    # Lua 5.4 takes the names with a version, LuaJIT the plain ones.
    quoted LUA_PATH "$checkout/lua/?.lua;$checkout/lua/?/init.lua;;"
    quoted LUA_CPATH "$checkout/build/5.1/?.so;;"
    quoted LUA_PATH_5_4 "$checkout/lua/?.lua;$checkout/lua/?/init.lua;;"
    quoted LUA_CPATH_5_4 "$checkout/build/5.4/?.so;;"
    printf "export PATH='%s':\"\$PATH\"\n" "${checkout//\'/\'\\\'\'}/build"
  } >"$dir/env"
}

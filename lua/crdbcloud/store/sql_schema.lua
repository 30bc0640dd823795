--- The tables of a SQL store, and the statements on them. They are the same on CockroachDB and PostgreSQL, so nothing is
--- used that one of them lacks (no advisory locks, no LISTEN, no row locks held between statements): each is a
--- transaction of its own.

local M = {}

--- The version of these tables. A later one is refused.
M.VERSION = 1

--- In the order in which they are made. `record` is NULL once a record was removed: its row stays, so that its version
--- never counts from 1 again and a run that slept meanwhile cannot take the new record for the old one. `write_id`
--- tells a run whose answer was lost whether its write is there. The other columns are for people.
M.TABLES = {
  [[CREATE TABLE IF NOT EXISTS crdbcloud_records (
  key text NOT NULL PRIMARY KEY,
  version bigint NOT NULL,
  write_id text NOT NULL,
  record bytea,
  state text,
  epoch bigint,
  holder text,
  updated_at timestamptz NOT NULL)]],
  [[CREATE TABLE IF NOT EXISTS crdbcloud_leases (
  key text NOT NULL PRIMARY KEY,
  token text NOT NULL,
  holder text NOT NULL,
  ends_at timestamptz NOT NULL)]],
  [[CREATE TABLE IF NOT EXISTS crdbcloud_store (
  id bigint NOT NULL PRIMARY KEY,
  version bigint NOT NULL)]],
}

M.MARK = ("INSERT INTO crdbcloud_store (id, version) VALUES (1, %d) ON CONFLICT (id) DO NOTHING"):format(M.VERSION)
M.READ_VERSION = "SELECT version FROM crdbcloud_store WHERE id = 1"

-- Bytes travel as hexadecimal text in both directions, whatever bytea_output is set to.
M.GET = "SELECT version, encode(record, 'hex') AS record FROM crdbcloud_records WHERE key = $1 AND record IS NOT NULL"

M.LIST = "SELECT key FROM crdbcloud_records WHERE record IS NOT NULL AND left(key, length($1::text)) = $1::text"

-- $1 key, $2 write_id, $3 record, $4 state, $5 epoch, $6 holder, $7 version
M.INSERT = [[INSERT INTO crdbcloud_records (key, version, write_id, record, state, epoch, holder, updated_at)
VALUES ($1, 1, $2, decode($3, 'hex'), $4, $5::bigint, $6, now())
ON CONFLICT (key) DO UPDATE SET version = crdbcloud_records.version + 1, write_id = excluded.write_id,
  record = excluded.record, state = excluded.state, epoch = excluded.epoch, holder = excluded.holder,
  updated_at = excluded.updated_at
WHERE crdbcloud_records.record IS NULL
RETURNING version]]

M.UPDATE = [[UPDATE crdbcloud_records SET version = version + 1, write_id = $2, record = decode($3, 'hex'), state = $4,
  epoch = $5::bigint, holder = $6, updated_at = now()
WHERE key = $1 AND version = $7::bigint AND record IS NOT NULL
RETURNING version]]

-- $1 key, $2 write_id, $3 version
M.REMOVE = [[UPDATE crdbcloud_records SET version = version + 1, write_id = $2, record = NULL, state = 'removed',
  epoch = NULL, updated_at = now()
WHERE key = $1 AND version = $3::bigint AND record IS NOT NULL
RETURNING version]]

M.WHOSE = "SELECT version, write_id FROM crdbcloud_records WHERE key = $1"

-- A lease begins and ends by the database's clock. The clocks of CockroachDB's nodes may differ by half a second, so
-- a lease is taken over a second after its end only.
-- $1 key, $2 token, $3 holder, $4 seconds
M.TAKE = [[INSERT INTO crdbcloud_leases (key, token, holder, ends_at)
VALUES ($1, $2, $3, now() + $4::float8 * INTERVAL '1 second')
ON CONFLICT (key) DO UPDATE SET token = excluded.token, holder = excluded.holder, ends_at = excluded.ends_at
WHERE crdbcloud_leases.ends_at < now() - INTERVAL '1 second'
RETURNING token, extract(epoch FROM now()) AS time]]

M.HOLDER = [[SELECT token, holder, extract(epoch FROM ends_at - now()) AS left
FROM crdbcloud_leases WHERE key = $1]]

-- Nobody has taken it as long as the token is ours, so a late renewal does no harm.
M.RENEW = [[UPDATE crdbcloud_leases SET ends_at = now() + $3::float8 * INTERVAL '1 second'
WHERE key = $1 AND token = $2 RETURNING token]]

M.RELEASE = "DELETE FROM crdbcloud_leases WHERE key = $1 AND token = $2"

return M

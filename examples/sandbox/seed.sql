-- What the sandbox's SQL side holds after the start. Run by `sandbox start` as root, with the
-- psql variables admin_password, users (how many application users) and passwords_file.
\set ON_ERROR_STOP on
\set QUIET on
SET client_min_messages = warning;
SET synchronous_commit = off;

-- Membership in admin gives everything in the databases below, by the grants at the end.
CREATE ROLE admin NOLOGIN;
CREATE ROLE sandbox_admin LOGIN SUPERUSER PASSWORD :'admin_password';
GRANT admin TO sandbox_admin WITH ADMIN OPTION;

CREATE DATABASE defaultdb OWNER sandbox_admin TEMPLATE template0;
CREATE DATABASE shop OWNER sandbox_admin TEMPLATE template0;
CREATE DATABASE analytics OWNER sandbox_admin TEMPLATE template0;
GRANT ALL ON DATABASE defaultdb, shop, analytics TO admin WITH GRANT OPTION;

-- What application users of an older day were given: reading, through a role.
CREATE ROLE shop_reader NOLOGIN;
GRANT CONNECT ON DATABASE shop TO shop_reader;

-- PostgreSQL hashes a password for milliseconds, even one that comes as a hash. So beyond 500
-- users the passwords repeat, and their hashes are copied within the catalog.
CREATE TEMPORARY TABLE seeds (n integer, name text, password text);
INSERT INTO seeds (n, name)
  VALUES (0, 'legacy_report')
  UNION ALL SELECT n, 'app_user_' || lpad(n::text, greatest(3, length(:'users')), '0') FROM generate_series(1, :users) AS n;
-- Two random UUIDs: 244 random bits.
UPDATE seeds SET password = translate(gen_random_uuid()::text || gen_random_uuid()::text, '-', '') WHERE n <= 500;
DO $$
DECLARE seed record;
BEGIN
  FOR seed IN SELECT name, password FROM seeds LOOP
    EXECUTE format('CREATE ROLE %I LOGIN PASSWORD %L', seed.name, seed.password);
  END LOOP;
  EXECUTE (SELECT 'GRANT shop_reader TO ' || string_agg(quote_ident(name), ', ') FROM seeds);
END $$;
UPDATE seeds SET password = model.password FROM seeds AS model WHERE seeds.n > 500 AND model.n = (seeds.n - 1) % 500 + 1;
SET allow_system_table_mods = on;
UPDATE pg_authid SET rolpassword = copied.rolpassword
  FROM seeds, seeds AS model, pg_authid AS copied
  WHERE seeds.n > 500 AND model.n = (seeds.n - 1) % 500 + 1 AND pg_authid.rolname = seeds.name AND copied.rolname = model.name;
RESET allow_system_table_mods;
-- Made for single sign-on: no password at all.
CREATE ROLE sso_anna LOGIN IN ROLE shop_reader;
\pset format unaligned
\pset tuples_only on
\pset fieldsep '\t'
\o :passwords_file
SELECT name, password FROM seeds ORDER BY n;
\o

\connect analytics
SET ROLE sandbox_admin;
CREATE TABLE events (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, kind text NOT NULL, happened_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE visits (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, page text NOT NULL, visitors integer NOT NULL);
INSERT INTO events (kind) VALUES ('signup'), ('login'), ('purchase');
INSERT INTO visits (page, visitors) VALUES ('/', 120), ('/shop', 45);
GRANT ALL ON SCHEMA public TO admin WITH GRANT OPTION;
GRANT ALL ON ALL TABLES IN SCHEMA public TO admin WITH GRANT OPTION;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO admin WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES FOR ROLE sandbox_admin GRANT ALL ON TABLES TO admin WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES FOR ROLE sandbox_admin GRANT ALL ON SEQUENCES TO admin WITH GRANT OPTION;

\connect shop
SET ROLE sandbox_admin;
CREATE TABLE customers (id serial PRIMARY KEY, name text NOT NULL, email text NOT NULL UNIQUE);
CREATE TABLE orders (
  id serial PRIMARY KEY,
  customer_id integer NOT NULL REFERENCES customers (id),
  item text NOT NULL,
  placed_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE payments (id serial PRIMARY KEY, order_id integer NOT NULL REFERENCES orders (id), amount numeric(10, 2) NOT NULL);
INSERT INTO customers (name, email) VALUES
  ('Ada', 'ada@example.com'), ('Grace', 'grace@example.com'), ('Edsger', 'edsger@example.com');
INSERT INTO orders (customer_id, item) VALUES (1, 'keyboard'), (1, 'screen'), (2, 'chair'), (3, 'pencil');
INSERT INTO payments (order_id, amount) VALUES (1, 49.90), (2, 310.00), (3, 120.50);
GRANT USAGE ON SCHEMA public TO shop_reader;
GRANT SELECT ON orders, customers TO shop_reader;
GRANT ALL ON SCHEMA public TO admin WITH GRANT OPTION;
GRANT ALL ON ALL TABLES IN SCHEMA public TO admin WITH GRANT OPTION;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO admin WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES FOR ROLE sandbox_admin GRANT ALL ON TABLES TO admin WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES FOR ROLE sandbox_admin GRANT ALL ON SEQUENCES TO admin WITH GRANT OPTION;

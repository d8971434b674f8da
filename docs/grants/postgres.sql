-- What the audit may do in PostgreSQL, and nothing else. The lab applies exactly this file.
-- Run as a superuser in the platform's database. First, once per cluster:
--   CREATE ROLE auditor LOGIN;  \password auditor
--   CREATE ROLE auditor_restore LOGIN;  \password auditor_restore
-- Adapt: the database, the schemas of the platform (atom) and of its audit log (audit).

-- It is nothing that a role can be, apart from a login.
ALTER ROLE auditor WITH LOGIN NOCREATEDB NOSUPERUSER NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 20;
ALTER ROLE auditor SET statement_timeout = '60s';
ALTER ROLE auditor SET idle_in_transaction_session_timeout = '60s';
GRANT CONNECT ON DATABASE atom TO auditor;

-- The audit log, to verify its chain and the anchors of its objects.
GRANT USAGE ON SCHEMA audit TO auditor;
GRANT SELECT ON ALL TABLES IN SCHEMA audit TO auditor;

-- The platform's tables by name only: catalogs say how they are protected; their rows stay unreadable.
GRANT USAGE ON SCHEMA atom TO auditor;

-- The restore drill alone (A07): it reads everything, as a backup does, and restores into scratch databases of its own. Foreign
-- keys are checked while a restore has row security forced already, so that only a role that bypasses it can finish one.
-- Leave it out, and the drill is BLOCKED.
ALTER ROLE auditor_restore WITH LOGIN CREATEDB BYPASSRLS NOSUPERUSER NOCREATEROLE NOREPLICATION CONNECTION LIMIT 20;
GRANT pg_read_all_data TO auditor_restore;
GRANT CONNECT ON DATABASE atom TO auditor_restore;

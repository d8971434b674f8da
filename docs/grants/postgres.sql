-- What the audit may do in PostgreSQL, and nothing else. The lab applies exactly this file.
-- Run as a superuser in the platform's database. First, once per cluster:  CREATE ROLE auditor LOGIN;  \password auditor
-- Adapt: the database, the schemas of the platform (atom) and of its audit log (audit).

-- It may make scratch databases to restore a backup into; nothing else of what a role can be.
ALTER ROLE auditor WITH LOGIN CREATEDB NOSUPERUSER NOCREATEROLE NOREPLICATION NOBYPASSRLS CONNECTION LIMIT 20;
ALTER ROLE auditor SET statement_timeout = '60s';
ALTER ROLE auditor SET idle_in_transaction_session_timeout = '60s';
GRANT CONNECT ON DATABASE atom TO auditor;

-- The audit log, to verify its chain and the anchors of its objects.
GRANT USAGE ON SCHEMA audit TO auditor;
GRANT SELECT ON ALL TABLES IN SCHEMA audit TO auditor;

-- The platform's tables by name only: catalogs say how they are protected; their rows stay unreadable.
GRANT USAGE ON SCHEMA atom TO auditor;

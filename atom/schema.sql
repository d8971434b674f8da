-- The platform's database. Run once by a superuser in an empty database named atom; passwords are set by whoever runs it.

CREATE ROLE atom_owner NOLOGIN;
CREATE ROLE atom_app LOGIN NOSUPERUSER NOBYPASSRLS;
CREATE ROLE atom_etl LOGIN NOSUPERUSER NOBYPASSRLS;
CREATE ROLE atom_backup LOGIN NOSUPERUSER BYPASSRLS;
GRANT pg_read_all_data TO atom_backup;

REVOKE ALL ON SCHEMA public FROM PUBLIC;
CREATE SCHEMA atom AUTHORIZATION atom_owner;
CREATE SCHEMA audit AUTHORIZATION atom_owner;
SET ROLE atom_owner;

-- Reference data that belongs to no tenant.
CREATE TABLE atom.tenants (
    id uuid PRIMARY KEY,
    name text NOT NULL UNIQUE
);
CREATE TABLE atom.plans (
    name text PRIMARY KEY,
    max_runs_per_day integer NOT NULL CHECK (max_runs_per_day > 0)
);

-- Tenant tables.
CREATE TABLE atom.workflows (
    id uuid PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES atom.tenants,
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (tenant_id, name)
);
CREATE TABLE atom.workflow_versions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES atom.tenants,
    workflow_id uuid NOT NULL REFERENCES atom.workflows ON DELETE CASCADE,
    version text NOT NULL,
    author text NOT NULL,
    digest text NOT NULL,
    declared_mode text,
    schedule text,
    content bytea NOT NULL,
    signature text,
    signer text,
    uploaded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON atom.workflow_versions (workflow_id, id DESC);
CREATE TABLE atom.approvals (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES atom.tenants,
    workflow_id uuid NOT NULL REFERENCES atom.workflows ON DELETE CASCADE,
    digest text NOT NULL,
    approved_by text NOT NULL,
    role text NOT NULL,
    approved_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL
);
CREATE TABLE atom.dry_runs (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tenant_id uuid NOT NULL REFERENCES atom.tenants,
    workflow_id uuid NOT NULL REFERENCES atom.workflows ON DELETE CASCADE,
    digest text NOT NULL,
    verdict text NOT NULL CHECK (verdict IN ('allowed', 'blocked')),
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE atom.schedules (
    workflow_id uuid PRIMARY KEY REFERENCES atom.workflows ON DELETE CASCADE,
    tenant_id uuid NOT NULL REFERENCES atom.tenants,
    due_at timestamptz NOT NULL,
    request_id text
);
CREATE TABLE atom.workflow_runs (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL REFERENCES atom.tenants,
    workflow_id uuid NOT NULL,
    digest text NOT NULL,
    trigger text NOT NULL CHECK (trigger IN ('user', 'scheduler', 'retry')),
    status text NOT NULL CHECK (status IN ('running', 'succeeded', 'failed')),
    reason text,
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    PRIMARY KEY (id, started_at)
) PARTITION BY RANGE (started_at);
CREATE TABLE atom.run_steps (
    run_id uuid NOT NULL,
    tenant_id uuid NOT NULL REFERENCES atom.tenants,
    position integer NOT NULL,
    name text NOT NULL,
    uses text NOT NULL,
    status text NOT NULL,
    detail text,
    PRIMARY KEY (run_id, position)
);

-- A partition for each month from last year on, each a tenant table in its own right.
DO $$
DECLARE
    month date := date_trunc('month', current_date) - interval '3 months';
BEGIN
    FOR i IN 0..14 LOOP
        EXECUTE format(
            'CREATE TABLE atom.workflow_runs_%s PARTITION OF atom.workflow_runs FOR VALUES FROM (%L) TO (%L)',
            to_char(month, 'YYYYMM'), month, month + interval '1 month');
        month := month + interval '1 month';
    END LOOP;
END $$;

-- Row-level security: enabled, forced for the owner too, one policy for every command, closed when no tenant is set.
DO $$
DECLARE
    found regclass;
BEGIN
    FOR found IN
        SELECT c.oid FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id'
        WHERE c.relnamespace = 'atom'::regnamespace AND c.relkind IN ('r', 'p')
    LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', found);
        EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', found);
        EXECUTE format($policy$
            CREATE POLICY tenant_isolation ON %s
            USING (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
            WITH CHECK (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
            $policy$, found);
    END LOOP;
END $$;

CREATE VIEW atom.run_summary WITH (security_invoker = true) AS
    SELECT tenant_id, workflow_id, status, count(*) AS runs, max(started_at) AS latest
    FROM atom.workflow_runs GROUP BY tenant_id, workflow_id, status;

-- Which workflows there are and whose they are: the one question that has to be asked before the tenant is known.
CREATE TABLE atom.workflow_index (
    workflow_id uuid PRIMARY KEY,
    tenant text NOT NULL
);

-- The audit log: written once. `segments` is the anchor of what is sealed in the object store.
CREATE TABLE audit.events (
    seq bigint PRIMARY KEY,
    id uuid NOT NULL UNIQUE,
    at timestamptz NOT NULL,
    tenant text,
    actor text NOT NULL,
    action text NOT NULL,
    subject text NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('accepted', 'refused', 'done', 'failed')),
    request_id text,
    detail jsonb NOT NULL,
    prev_hash char(64) NOT NULL,
    hash char(64) NOT NULL UNIQUE
);
CREATE INDEX ON audit.events (request_id text_pattern_ops);
CREATE TABLE audit.segments (
    object_key text PRIMARY KEY,
    first_seq bigint NOT NULL UNIQUE,
    last_seq bigint NOT NULL UNIQUE,
    head_hash char(64) NOT NULL,
    sha256 char(64) NOT NULL,
    version_id text,
    sealed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE FUNCTION audit.refuse() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    RAISE insufficient_privilege USING MESSAGE = format('%s is append-only: %s is refused', TG_TABLE_NAME, TG_OP);
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit.events FOR EACH ROW EXECUTE FUNCTION audit.refuse();
CREATE TRIGGER never_truncated BEFORE TRUNCATE ON audit.events FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit.segments FOR EACH ROW EXECUTE FUNCTION audit.refuse();
CREATE TRIGGER never_truncated BEFORE TRUNCATE ON audit.segments FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse();

INSERT INTO atom.plans VALUES ('starter', 100), ('business', 5000), ('enterprise', 100000);
INSERT INTO atom.tenants VALUES
    ('0b6c1f6e-5a51-4f0e-9d0a-6f1d0c8f3a01', 'acme'),
    ('5d2f8a34-91c7-4c3b-8f55-2f7be0a4d602', 'globex'),
    ('9e41c7b0-3d68-4b9a-a1de-84c95b17e903', 'initech'),
    ('c3a9d5e2-7f10-4e6c-b2a8-1b60f3d9e704', 'audit-probe');

GRANT USAGE ON SCHEMA atom, audit TO atom_app, atom_etl;
GRANT SELECT ON atom.tenants, atom.plans TO atom_app, atom_etl;
GRANT SELECT, INSERT, UPDATE, DELETE ON
    atom.workflows, atom.workflow_versions, atom.approvals, atom.dry_runs, atom.schedules,
    atom.workflow_runs, atom.run_steps TO atom_app;
GRANT SELECT, INSERT, DELETE ON atom.workflow_index TO atom_app;
GRANT SELECT ON atom.run_summary TO atom_app;
GRANT SELECT, INSERT ON audit.events, audit.segments TO atom_app;
GRANT SELECT ON atom.workflows, atom.workflow_runs, atom.run_steps TO atom_etl;
GRANT SELECT ON audit.events TO atom_etl;
RESET ROLE;

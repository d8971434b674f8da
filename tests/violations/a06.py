"""Faults of A06, Tenancy & RLS."""

from __future__ import annotations

from tests.violations import sql_violation

ON_OLDEST_PARTITION = """
    DO $$ BEGIN EXECUTE format('ALTER TABLE atom.workflow_runs_%%s %s ROW LEVEL SECURITY',
        to_char(date_trunc('month', current_date) - interval '3 months', 'YYYYMM')); END $$
"""
TENANT = "nullif(current_setting('app.tenant_id', true), '')"

OPEN_TO_READ = frozenset(
    {
        "rls.policies_sound",
        "rls.cross_tenant_read_denied",
        "rls.tenant_context_fails_closed",
        "rls.no_tenant_sees_nothing",
    }
)
"""What a policy fails that shows every tenant's rows: with a tenant, without one, and on paper."""


def policy(table: str, name: str, definition: str) -> dict[str, str]:
    return {
        "plant": f"CREATE POLICY {name} ON atom.{table} {definition}",
        "remove": f"DROP POLICY IF EXISTS {name} ON atom.{table}",
    }


VIOLATIONS = [
    sql_violation(
        "rls-off-on-a-partition",
        "rls.enabled",
        "A partition has no row security",
        plant=(ON_OLDEST_PARTITION % "DISABLE").replace("%%", "%"),
        remove=(ON_OLDEST_PARTITION % "ENABLE").replace("%%", "%"),
    ),
    sql_violation(
        "rls-not-forced",
        "rls.forced",
        "A table lets its owner bypass row security",
        plant="ALTER TABLE atom.schedules NO FORCE ROW LEVEL SECURITY",
        remove="ALTER TABLE atom.schedules FORCE ROW LEVEL SECURITY",
    ),
    sql_violation(
        "rls-policy-with-or",
        "rls.policies_sound",
        "A second policy widens the first one",
        **policy("schedules", "legacy", f"FOR SELECT USING (tenant_id::text = {TENANT} OR false)"),
    ),
    sql_violation(
        "app-role-creates-roles",
        "rls.roles_bounded",
        "The application's role may create roles",
        plant="ALTER ROLE atom_app CREATEROLE",
        remove="ALTER ROLE atom_app NOCREATEROLE",
    ),
    sql_violation(
        "app-role-becomes-backup",
        "rls.role_escape_denied",
        "The application can become a role that bypasses row security",
        plant="GRANT atom_backup TO atom_app WITH INHERIT FALSE, SET TRUE",
        remove="REVOKE atom_backup FROM atom_app",
        also=frozenset({"rls.roles_bounded"}),
    ),
    sql_violation(
        "view-with-owners-rights",
        "rls.views_safe",
        "A view reads tenants' rows with its owner's rights",
        plant="CREATE VIEW atom.all_runs AS SELECT * FROM atom.workflow_runs; GRANT SELECT ON atom.all_runs TO atom_app",
        remove="DROP VIEW IF EXISTS atom.all_runs",
    ),
    sql_violation(
        "truncate-granted",
        "rls.grants_safe",
        "The application may truncate a tenant table",
        plant="GRANT TRUNCATE ON atom.run_steps TO atom_app",
        remove="REVOKE TRUNCATE ON atom.run_steps FROM atom_app",
    ),
    sql_violation(
        "table-without-tenant",
        "rls.tenant_column_present",
        "A table does not say whose its rows are",
        plant="CREATE TABLE IF NOT EXISTS atom.notes (id integer, body text)",
        remove="DROP TABLE IF EXISTS atom.notes",
    ),
    sql_violation(
        "open-without-tenant",
        "rls.tenant_context_fails_closed",
        "A session without a tenant sees every row",
        **policy("run_steps", "open_when_unset", f"FOR SELECT USING ({TENANT} IS NULL)"),
        also=frozenset({"rls.policies_sound", "rls.no_tenant_sees_nothing"}),
    ),
    sql_violation(
        "rows-open-to-read",
        "rls.cross_tenant_read_denied",
        "A policy shows every tenant's rows",
        **policy("run_steps", "support", "FOR SELECT USING (true)"),
        also=OPEN_TO_READ - {"rls.cross_tenant_read_denied"},
    ),
    sql_violation(
        "rows-open-to-insert",
        "rls.cross_tenant_insert_denied",
        "A policy lets rows be inserted for any tenant",
        **policy("approvals", "import", "FOR INSERT WITH CHECK (true)"),
        also=frozenset({"rls.policies_sound"}),
    ),
    sql_violation(
        "rows-can-be-moved",
        "rls.tenant_move_denied",
        "Policies show every tenant's rows, and do not check what an update makes of one's own",
        plant="CREATE POLICY adopt_see ON atom.approvals FOR SELECT USING (true);"
        f" CREATE POLICY adopt ON atom.approvals FOR UPDATE USING (tenant_id::text = {TENANT}) WITH CHECK (true)",
        remove="DROP POLICY IF EXISTS adopt_see ON atom.approvals; DROP POLICY IF EXISTS adopt ON atom.approvals",
        also=OPEN_TO_READ,
    ),
    sql_violation(
        "rows-open-to-update",
        "rls.cross_tenant_update_denied",
        "Policies show every tenant's rows, and let them be updated",
        plant="CREATE POLICY fix_see ON atom.dry_runs FOR SELECT USING (true);"
        " CREATE POLICY fix ON atom.dry_runs FOR UPDATE USING (true)",
        remove="DROP POLICY IF EXISTS fix_see ON atom.dry_runs; DROP POLICY IF EXISTS fix ON atom.dry_runs",
        also=OPEN_TO_READ | {"rls.tenant_move_denied"},
    ),
    sql_violation(
        "rows-open-to-delete",
        "rls.cross_tenant_delete_denied",
        "Policies show every tenant's rows, and let them be deleted",
        plant="CREATE POLICY tidy_see ON atom.dry_runs FOR SELECT USING (true);"
        " CREATE POLICY tidy ON atom.dry_runs FOR DELETE USING (true)",
        remove="DROP POLICY IF EXISTS tidy_see ON atom.dry_runs; DROP POLICY IF EXISTS tidy ON atom.dry_runs",
        also=OPEN_TO_READ,
    ),
]

#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: audit_table
short_description: Judge and try that an audit table in PostgreSQL is append-only
description:
  - Reads from the catalogs who could change the table, by grants, through roles, by ownership, by rules, by disabled triggers.
  - Tries, as the application, to change and delete a record in a transaction that is rolled back.
options:
  table:
    description: The audit table, as C(schema.table).
    type: str
  app_roles:
    description: Every role that the platform's services connect as.
    type: list
    elements: str
extends_documentation_fragment: [audit, postgres]
"""

EXAMPLES = r"""
- name: Examine the audit table
  audit_table:
    audit: "{{ audit_context }}"
    postgres_dsn: host=db.example.com dbname=atom user=auditor
    postgres_app_dsn: host=db.example.com dbname=atom user=atom_app
    table: audit.events
    app_roles: [atom_app, atom_etl]
  register: audit_log_table_checks
"""

RETURN = r"""
checks: {description: One answer per check., returned: always, type: list, elements: dict}
"""

from collections.abc import Collection

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.guard import Audit, Checks, run_audit
from ..module_utils.options import AUDIT, POSTGRES
from ..module_utils.postgres import INSUFFICIENT_PRIVILEGE, Postgres, Row
from ..module_utils.result import Attempt, Outcome, Verdict, blocked, judge_each, judge_refusal

CHECKS = Checks(
    passive=("auditlog.table_append_only",),
    active=("auditlog.table_update_refused", "auditlog.table_delete_refused"),
)

ROLES = """
    WITH RECURSIVE reachable(start, oid) AS (
        SELECT rolname::text, oid FROM pg_roles WHERE rolname = ANY (%(roles)s)
        UNION
        SELECT r.start, m.roleid FROM pg_auth_members m JOIN reachable r ON m.member = r.oid
    )
    SELECT r.start AS role, a.rolname AS becomes, a.rolsuper AS super, c.relowner = a.oid AS owner,
           n.nspowner = a.oid AS schema_owner,
           ARRAY(SELECT p FROM unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']) AS p
                 WHERE NOT a.rolsuper AND (has_table_privilege(a.oid, c.oid, p)
                       OR (p = 'UPDATE' AND has_any_column_privilege(a.oid, c.oid, 'UPDATE')))) AS may
    FROM reachable r
    JOIN pg_roles a ON a.oid = r.oid
    CROSS JOIN pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = to_regclass(%(table)s)
    ORDER BY 1, 2
"""
"""Every role the platform's roles are or can become, with what it could do to the table (pg_auth_members, aclitem)."""

GUARDS = """
    SELECT 'trigger ' || tgname AS name, tgenabled::text AS state FROM pg_trigger
    WHERE tgrelid = to_regclass(%(table)s) AND NOT tgisinternal
    UNION ALL
    SELECT 'rule ' || rulename, 'rule' FROM pg_rewrite WHERE ev_class = to_regclass(%(table)s) AND rulename <> '_RETURN'
"""


def examine(audit: Audit) -> None:
    """Who could change a record; then try it as the application."""
    table, app_roles = audit.require("table", "app_roles")
    with Postgres(audit.require("postgres_dsn"), "postgres_dsn", application=audit.run_id) as database:
        roles = database.rows(ROLES, {"roles": app_roles, "table": table})
        guards = database.rows(GUARDS, {"table": table})
    audit.check("auditlog.table_append_only", judge_append_only, table, app_roles, roles, guards)
    audit.require_active()
    dsn = audit.require("postgres_app_dsn")
    with Postgres(dsn, "postgres_app_dsn", application=audit.run_id, writes=True) as database:
        control = database.attempt("reading a record", f"SELECT 1 FROM {table} LIMIT 1")
        where = f"WHERE ctid = (SELECT ctid FROM {table} LIMIT 1)"
        column = database.rows(
            "SELECT quote_ident(attname) AS name FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum = 1",
            (table,),
        )
        name = column[0]["name"] if column else "ctid"
        update = database.attempt("changing a record", f"UPDATE {table} SET {name} = {name} {where}")
        delete = database.attempt("deleting a record", f"DELETE FROM {table} {where}")
    audit.check("auditlog.table_update_refused", judge_change, table, control, update)
    audit.check("auditlog.table_delete_refused", judge_change, table, control, delete)


def judge_append_only(
    table: str, app_roles: Collection[str], roles: Collection[Row], guards: Collection[Row]
) -> Verdict:
    """Nobody the platform connects as, or can become, may do more than read and append."""
    unknown = sorted(set(app_roles) - {row["role"] for row in roles})
    if unknown:
        return blocked(f"the table {table} and the roles {', '.join(unknown)} (audit_log_table, audit_log_app_roles)")
    offenders = {}
    for row in roles:
        faults = [key.replace("_", " ") for key in ("super", "owner", "schema_owner") if row[key]] + list(row["may"])
        if faults:
            way = "" if row["becomes"] == row["role"] else f" as {row['becomes']}"
            offenders[f"{row['role']}{way}"] = ", ".join(faults)
    for guard in guards:
        if guard["state"] == "D":
            offenders[guard["name"]] = "disabled"
        elif guard["state"] == "rule":
            offenders[guard["name"]] = "rewrites what is appended"
    names = [row["role"] if row["role"] == row["becomes"] else f"{row['role']} as {row['becomes']}" for row in roles]
    return judge_each(
        "roles and guards of the audit table",
        [*names, *(guard["name"] for guard in guards)],
        offenders,
        sound=f"leave {table} append-only",
        fault=f"let records of {table} be changed",
    )


def judge_change(table: str, control: Attempt, attempt: Attempt) -> Verdict:
    if control.outcome is Outcome.ALLOWED and control.reason == "0 rows":
        return blocked(f"a record to try with: {table} is empty", control=control.facts())
    if attempt.outcome is Outcome.ALLOWED and attempt.reason == "0 rows":
        attempt = Attempt(attempt.action, Outcome.UNCLEAR, attempt.reason, "no record was found to try with")
    return judge_refusal(
        f"{attempt.action} of {table} as the application",
        control=control,
        attempt=attempt,
        right_reasons={INSUFFICIENT_PRIVILEGE},
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **AUDIT,
            **POSTGRES,
            "table": {"type": "str"},
            "app_roles": {"type": "list", "elements": "str"},
        },
        supports_check_mode=True,
    )
    run_audit(module, CHECKS, examine)


if __name__ == "__main__":
    main()

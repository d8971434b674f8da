#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_rls_probe
short_description: Try to cross tenants as the application
description:
  - Connects as the application's own role and tries, for every tenant table it has rights on, to read, insert, change, delete and
    move rows across two tenants, and to leave its role. Everything happens in one transaction that is rolled back.
options:
  tenant_setting:
    description: Setting that the application says its tenant in.
    type: str
  tenants:
    description: Two tenants, as values of the tenant column, that both have rows.
    type: list
    elements: str
extends_documentation_fragment: [audit, postgres, tenancy]
"""

EXAMPLES = r"""
- name: Try to cross tenants
  postgres_rls_probe:
    audit: "{{ audit_context }}"
    postgres_app_dsn: host=db.example.com dbname=atom user=atom_app
    schemas: [atom]
    tenant_column: tenant_id
    tenant_setting: app.tenant_id
    tenants: [0b6c1f6e-5a51-4f0e-9d0a-6f1d0c8f3a01, 5d2f8a34-91c7-4c3b-8f55-2f7be0a4d602]
    app_role: atom_app
  register: tenancy_rls_probe_checks
"""

RETURN = r"""
checks: {description: One answer per check., returned: always, type: list, elements: dict}
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import rls_catalog
from ..module_utils.guard import Audit, Checks, run_audit
from ..module_utils.options import AUDIT, POSTGRES, TENANCY
from ..module_utils.postgres import CONSTRAINTS, INSUFFICIENT_PRIVILEGE, Postgres, Row
from ..module_utils.result import Attempt, Outcome, Verdict, blocked, failed, name_some, passed
from ..module_utils.unanswerable import Unanswerable

CHECKS = Checks(
    passive=("rls.tenant_context_fails_closed",),
    active=(
        "rls.own_rows_visible",
        "rls.cross_tenant_read_denied",
        "rls.cross_tenant_insert_denied",
        "rls.cross_tenant_update_denied",
        "rls.cross_tenant_delete_denied",
        "rls.tenant_move_denied",
        "rls.no_tenant_sees_nothing",
        "rls.role_escape_denied",
    ),
)
CLOSED = {"unset": None, "empty": ""}
"""Contexts without a tenant. NULL is the empty text to set_config, and unset once a transaction has set it before."""


@dataclass(frozen=True)
class Tenancy:
    """What the probes share: the conversation, the names, and whose rows each table holds."""

    database: Postgres
    column: str
    setting: str
    ours: str
    theirs: str
    commands: Mapping[str, Collection[str]]
    columns: Mapping[str, Collection[str]]

    def enter(self, tenant: str | None) -> None:
        """Say the tenant as the application does, for the rest of the transaction."""
        self.database.rows("SELECT set_config(%s, %s, true)", (self.setting, tenant))

    def count(self, tables: Collection[str], where: str = "true", value: str | None = None) -> dict[str, int]:
        """Rows visible now in each table, in one round trip."""
        if not tables:
            return {}
        parts = [f"SELECT {_text(table)} AS name, count(*) AS rows FROM {table} WHERE {where}" for table in tables]
        rows = self.database.rows(" UNION ALL ".join(parts), {"value": value})
        return {row["name"]: row["rows"] for row in rows}

    def tables(self, command: str) -> list[str]:
        return [table for table, commands in self.commands.items() if {"SELECT", command} <= set(commands)]


def examine(audit: Audit) -> None:
    """Learn which tables there are, see each tenant's own rows, then try everything across them."""
    dsn, schemas, column, setting = audit.require("postgres_app_dsn", "schemas", "tenant_column", "tenant_setting")
    tenants, app_role = audit.require("tenants", "app_role")
    if len(tenants) != 2 or tenants[0] == tenants[1]:
        raise Unanswerable(f"two different tenants in {audit.variable('tenants')}")
    wanted = {"schemas": schemas, "column": column, "app_role": app_role}
    with Postgres(dsn, "postgres_app_dsn", application=audit.run_id, writes=True) as database:
        found = database.rows(rls_catalog.TABLES, wanted)
        shared = set(audit.params["shared_tables"])
        commands = {
            t["name"]: t["commands"] for t in found if t["has_column"] and t["commands"] and t["name"] not in shared
        }
        if not commands:
            raise Unanswerable(f"tenant tables that {app_role} has rights on: none was found in {', '.join(schemas)}")
        columns = {row["table"]: row["columns"] for row in database.rows(rls_catalog.COLUMNS, wanted)}
        tenancy = Tenancy(database, column, setting, tenants[0], tenants[1], commands, columns)
        audit.check("rls.tenant_context_fails_closed", ask_closed, tenancy)
        audit.check("rls.own_rows_visible", ask_own_rows, tenancy)
        audit.check("rls.cross_tenant_read_denied", ask_cross_read, tenancy)
        audit.check("rls.cross_tenant_insert_denied", ask_insert, tenancy)
        audit.check("rls.cross_tenant_update_denied", ask_change, tenancy, "UPDATE")
        audit.check("rls.cross_tenant_delete_denied", ask_change, tenancy, "DELETE")
        audit.check("rls.tenant_move_denied", ask_move, tenancy)
        audit.check("rls.no_tenant_sees_nothing", ask_no_tenant, tenancy)
        escapes = [row["name"] for row in database.rows(rls_catalog.ESCAPES, wanted)]
        audit.check("rls.role_escape_denied", ask_escape, tenancy, app_role, escapes)


def ask_closed(tenancy: Tenancy) -> Verdict:
    """Count what a session without a tenant sees, before this one ever said one."""
    tables = tenancy.tables("SELECT")
    seen = {}
    for context, value in CLOSED.items():
        if value is not None:
            tenancy.enter(value)
        seen[context] = tenancy.count(tables)
    tenancy.enter(tenancy.ours)
    return judge_closed(seen, tenancy.count(tables))


def ask_own_rows(tenancy: Tenancy) -> Verdict:
    return judge_own_rows(*_own_counts(tenancy, "SELECT"))


def ask_cross_read(tenancy: Tenancy) -> Verdict:
    tables = tenancy.tables("SELECT")
    _ours, theirs = _own_counts(tenancy, "SELECT")
    tenancy.enter(tenancy.ours)
    foreign = tenancy.count(tables, f"{tenancy.column}::text <> %(value)s", tenancy.ours)
    return judge_cross_read(theirs, foreign)


def ask_insert(tenancy: Tenancy) -> Verdict:
    """Copy one of our own rows, once as our own (the control), once as theirs."""
    attempts = {}
    tenancy.enter(tenancy.ours)
    own = tenancy.count(tenancy.tables("INSERT"))
    for table in (name for name, rows in own.items() if rows):
        names = tenancy.columns[table]
        values = [f"%(tenant)s::text::{_type(table, tenancy)}" if name == tenancy.column else name for name in names]
        statement = (
            f"INSERT INTO {table} ({', '.join(names)}) OVERRIDING SYSTEM VALUE"
            f" SELECT {', '.join(values)} FROM {table} LIMIT 1"
        )
        attempts[table] = (
            _past_row_security(
                tenancy.database.attempt(
                    f"inserting a row of one's own into {table}", statement, {"tenant": tenancy.ours}
                )
            ),
            _past_row_security(
                tenancy.database.attempt(
                    f"inserting a row of another tenant into {table}", statement, {"tenant": tenancy.theirs}
                )
            ),
        )
    return judge_attempts("inserting rows of another tenant", attempts, tenancy.tables("INSERT"))


def ask_change(tenancy: Tenancy, command: str) -> Verdict:
    """Change or delete one row of theirs, which must not be found; and one of our own, which must."""
    verb = "changing" if command == "UPDATE" else "deleting"
    ours, theirs = _own_counts(tenancy, command)
    tenancy.enter(tenancy.ours)
    attempts = {}
    for table in (name for name in ours if ours[name] and theirs[name]):
        target = f"ctid IN (SELECT ctid FROM {table} WHERE {tenancy.column}::text = %(tenant)s LIMIT 1)"
        change = (
            f"UPDATE {table} SET {tenancy.column} = {tenancy.column}" if command == "UPDATE" else f"DELETE FROM {table}"
        )
        # a partitioned table's ctid is unique within a partition only, hence the tenant once more
        statement = f"{change} WHERE {target} AND {tenancy.column}::text = %(tenant)s"
        own = tenancy.database.attempt(f"{verb} a row of one's own in {table}", statement, {"tenant": tenancy.ours})
        other = tenancy.database.attempt(
            f"{verb} a row of another tenant in {table}", statement, {"tenant": tenancy.theirs}
        )
        attempts[table] = (_none_found(_past_row_security(own)), _none_found(_past_row_security(other)))
    return judge_attempts(f"{verb} rows of another tenant", attempts, tenancy.tables(command))


def ask_move(tenancy: Tenancy) -> Verdict:
    """Give one of our rows to them."""
    attempts = {}
    tenancy.enter(tenancy.ours)
    own = tenancy.count(tenancy.tables("UPDATE"))
    for table in (name for name, rows in own.items() if rows):
        statement = (
            f"UPDATE {table} SET {tenancy.column} = %(tenant)s::text::{_type(table, tenancy)}"
            f" WHERE ctid IN (SELECT ctid FROM {table} LIMIT 1)"
        )
        attempts[table] = (
            _past_row_security(
                tenancy.database.attempt(f"keeping a row in {table}", statement, {"tenant": tenancy.ours})
            ),
            _past_row_security(
                tenancy.database.attempt(f"moving a row in {table}", statement, {"tenant": tenancy.theirs})
            ),
        )
    return judge_attempts("moving rows to another tenant", attempts, tenancy.tables("UPDATE"))


def ask_no_tenant(tenancy: Tenancy) -> Verdict:
    """What a pooled connection sees whose last user's tenant was taken back."""
    tables = tenancy.tables("SELECT")
    tenancy.enter(tenancy.ours)
    own = tenancy.count(tables)
    tenancy.enter("")
    return judge_closed({"taken back": tenancy.count(tables)}, own)


def ask_escape(tenancy: Tenancy, app_role: str, escapes: Collection[str]) -> Verdict:
    """Leave the role, switch row security off for the session, or for a table."""
    database = tenancy.database
    tenancy.enter(tenancy.ours)
    table = next(iter(tenancy.tables("SELECT")), next(iter(tenancy.commands)))
    statements = {f"SET ROLE {role}": f"SET LOCAL ROLE {_identifier(role)}" for role in escapes}
    statements["ALTER TABLE … DISABLE ROW LEVEL SECURITY"] = f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY"
    statements["ALTER TABLE … NO FORCE ROW LEVEL SECURITY"] = f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY"
    statements["ALTER ROLE … BYPASSRLS"] = f"ALTER ROLE {_identifier(app_role)} BYPASSRLS"
    attempts = [database.attempt(action, statement) for action, statement in statements.items()]
    database.rows("SELECT set_config('row_security', 'off', true)")
    attempts.append(database.attempt("reading with row_security off", f"SELECT 1 FROM {table} LIMIT 1"))
    database.rows("SELECT set_config('row_security', 'on', true)")
    control = database.attempt("reading as usual", f"SELECT 1 FROM {table} LIMIT 1")
    return judge_escapes(control, attempts, table)


def judge_closed(seen: Mapping[str, Mapping[str, int]], own: Mapping[str, int]) -> Verdict:
    """Nothing is visible without a tenant, in tables where something is visible with one."""
    leaks = {f"{table} ({context})": rows for context, tables in seen.items() for table, rows in tables.items() if rows}
    facts = {"visible_without_a_tenant": seen, "visible_to_a_tenant": own}
    if leaks:
        return failed(f"rows are visible without a tenant: {name_some(leaks)}", leaks=leaks, **facts)
    filled = [table for table, rows in own.items() if rows]
    if not filled:
        return blocked(
            "rows of the first tenant (tenancy_rls_tenants): it has none, so that seeing none proves nothing", **facts
        )
    return passed(
        f"without a tenant nothing is visible in {len(own)} tables, of which {len(filled)} show the tenant its rows",
        **facts,
    )


def judge_own_rows(ours: Mapping[str, int], theirs: Mapping[str, int]) -> Verdict:
    """The control of all others: each tenant sees rows of its own."""
    facts = {"first_tenant": ours, "second_tenant": theirs}
    shown = [sum(1 for rows in side.values() if rows) for side in (ours, theirs)]
    if not all(shown):
        return blocked("rows of both tenants (tenancy_rls_tenants): one of them sees none of its own", **facts)
    return passed(f"the tenants see their own rows in {shown[0]} and {shown[1]} of {len(ours)} tables", **facts)


def judge_cross_read(theirs: Mapping[str, int], foreign: Mapping[str, int]) -> Verdict:
    facts = {"rows_of_the_other": theirs, "foreign_rows_visible": foreign}
    leaks = {table: rows for table, rows in foreign.items() if rows}
    if leaks:
        return failed(
            f"rows of other tenants are visible in {len(leaks)} of {len(foreign)} tables: {name_some(leaks)}", **facts
        )
    proven = [table for table in foreign if theirs.get(table)]
    if not proven:
        return blocked(
            "rows of the second tenant (tenancy_rls_tenants): there are none that could have been seen", **facts
        )
    return passed(
        f"no row of another tenant is visible in {len(foreign)} tables; {len(proven)} of them hold the other's rows",
        **facts,
    )


def judge_attempts(what: str, attempts: Mapping[str, tuple[Attempt, Attempt]], tables: Collection[str]) -> Verdict:
    """Per table a control and an attempt. Refused means insufficient privilege, or no such row."""
    facts = {
        "attempts": {table: {"control": c.facts(), "attempt": a.facts()} for table, (c, a) in attempts.items()},
        "without_rows_to_try_with": sorted(set(tables) - set(attempts)),
    }
    allowed = [table for table, (_control, attempt) in attempts.items() if attempt.outcome is Outcome.ALLOWED]
    if allowed:
        return failed(f"{what} was allowed in {len(allowed)} of {len(attempts)} tables: {name_some(allowed)}", **facts)
    unproven = {
        table: f"{control.action}: {control.outcome.value} {control.reason}; {attempt.action}: {attempt.reason} {attempt.detail}"
        for table, (control, attempt) in attempts.items()
        if control.outcome is not Outcome.ALLOWED or attempt.reason not in (INSUFFICIENT_PRIVILEGE, "0 rows")
    }
    if unproven:
        first = next(iter(unproven.items()))
        return blocked(
            f"a refusal that proves the policy in {len(unproven)} tables, such as {first[0]} ({first[1]})", **facts
        )
    if not attempts:
        return blocked("rows of both tenants (tenancy_rls_tenants) in tables the application may change", **facts)
    return passed(
        f"{what} was refused in {len(attempts)} tables, in each of which the same was allowed to its own tenant",
        **facts,
    )


def judge_escapes(control: Attempt, attempts: Collection[Attempt], table: str) -> Verdict:
    facts = {"control": control.facts(), "attempts": [attempt.facts() for attempt in attempts], "table": table}
    allowed = [attempt.action for attempt in attempts if attempt.outcome is Outcome.ALLOWED]
    if allowed:
        return failed(f"the application can leave row security: {name_some(allowed)}", **facts)
    if control.outcome is not Outcome.ALLOWED:
        return blocked(f"a working control: {control.action} of {table} was refused: {control.detail}", **facts)
    odd = [
        f"{attempt.action}: {attempt.reason} {attempt.detail}"
        for attempt in attempts
        if attempt.reason != INSUFFICIENT_PRIVILEGE
    ]
    if odd:
        return blocked(f"refusals that prove the policy: {name_some(odd)}", **facts)
    return passed(f"{len(attempts)} ways out of the role and of row security are refused", **facts)


def _own_counts(tenancy: Tenancy, command: str) -> tuple[dict[str, int], dict[str, int]]:
    """How many rows each of the two tenants has, as it sees them itself."""
    sides = []
    for tenant in (tenancy.ours, tenancy.theirs):
        tenancy.enter(tenant)
        sides.append(tenancy.count(tenancy.tables(command), f"{tenancy.column}::text = %(value)s", tenant))
    return sides[0], sides[1]


def _past_row_security(attempt: Attempt) -> Attempt:
    """A row that a constraint stopped had been admitted by row security."""
    if attempt.outcome is Outcome.REFUSED and attempt.reason in CONSTRAINTS:
        return Attempt(attempt.action, Outcome.ALLOWED, attempt.reason, attempt.detail)
    return attempt


def _none_found(attempt: Attempt) -> Attempt:
    """A statement that found no row did nothing: that is how row security refuses changes."""
    if attempt.outcome is Outcome.ALLOWED and attempt.reason == "0 rows":
        return Attempt(attempt.action, Outcome.REFUSED, attempt.reason, "no such row is visible")
    return attempt


def _type(table: str, tenancy: Tenancy) -> str:
    statement = "SELECT format_type(atttypid, atttypmod) AS type FROM pg_attribute WHERE attrelid = %s::regclass AND attname = %s"
    row: Row = tenancy.database.rows(statement, (table, tenancy.column))[0]
    return str(row["type"])


def _identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''").replace("%", "%%") + "'"


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **AUDIT,
            **POSTGRES,
            **TENANCY,
            "tenant_setting": {"type": "str"},
            "tenants": {"type": "list", "elements": "str"},
        },
        supports_check_mode=True,
    )
    run_audit(module, CHECKS, examine)


if __name__ == "__main__":
    main()

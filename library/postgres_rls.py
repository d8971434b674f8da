#!/usr/bin/python
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_rls
short_description: Judge tenancy by what PostgreSQL's catalogs say
description:
  - Reads the catalogs once, in one read-only transaction, and judges row security, its policies, the application's role and
    the ways around them. Reads no row of any table.
extends_documentation_fragment: [audit, postgres, tenancy]
"""

EXAMPLES = r"""
- name: Read row security from the catalogs
  postgres_rls:
    audit: "{{ audit_context }}"
    postgres_dsn: host=db.example.com dbname=atom user=auditor
    schemas: [atom]
    tenant_column: tenant_id
    app_role: atom_app
  register: tenancy_rls_catalog_checks
"""

RETURN = r"""
checks: {description: One answer per check., returned: always, type: list, elements: dict}
"""

import re
from collections.abc import Collection

from ansible.module_utils.basic import AnsibleModule

from ..module_utils import rls_catalog
from ..module_utils.guard import Audit, Checks, run_audit
from ..module_utils.options import AUDIT, POSTGRES, TENANCY
from ..module_utils.postgres import Postgres, Row
from ..module_utils.result import Verdict, blocked, judge_each

CHECKS = Checks(
    passive=(
        "rls.enabled",
        "rls.forced",
        "rls.policies_sound",
        "rls.roles_bounded",
        "rls.views_safe",
        "rls.grants_safe",
        "rls.tenant_column_present",
    ),
)


def examine(audit: Audit) -> None:
    """Read every catalog once, then judge each question on what was read."""
    dsn, schemas, column, app_role = audit.require("postgres_dsn", "schemas", "tenant_column", "app_role")
    wanted = {"schemas": schemas, "column": column, "app_role": app_role}
    shared = set(audit.params["shared_tables"])
    with Postgres(dsn, "postgres_dsn", application=audit.run_id) as database:
        roles = database.rows(rls_catalog.ROLES, wanted)
        audit.check("rls.roles_bounded", judge_roles, app_role, roles)
        everything = database.rows(rls_catalog.TABLES, wanted)
        policies = database.rows(rls_catalog.POLICIES, wanted)
        readers = database.rows(rls_catalog.READERS, wanted)
        definers = database.rows(rls_catalog.DEFINERS, wanted)
    tables = [table for table in everything if table["has_column"] and table["name"] not in shared]
    audit.check("rls.enabled", judge_enabled, tables)
    audit.check("rls.forced", judge_forced, tables)
    audit.check("rls.policies_sound", judge_policies, tables, policies, column)
    audit.check("rls.views_safe", judge_readers, tables, readers, definers)
    audit.check("rls.grants_safe", judge_grants, tables)
    audit.check("rls.tenant_column_present", judge_columns, everything, shared)


def judge_enabled(tables: Collection[Row]) -> Verdict:
    """Partitions and inheritance children count: the parent's row security does not protect direct access to them."""
    return judge_each(
        "tenant tables",
        [table["name"] for table in tables],
        {table["name"]: _kind(table) for table in tables if not table["enabled"]},
        sound="have row security enabled",
        fault="have no row security",
    )


def judge_forced(tables: Collection[Row]) -> Verdict:
    return judge_each(
        "tenant tables",
        [table["name"] for table in tables],
        {table["name"]: f"owner {table['owner']}" for table in tables if not table["forced"]},
        sound="bind their owner too",
        fault="let their owner bypass row security",
    )


def judge_policies(tables: Collection[Row], policies: Collection[Row], column: str) -> Verdict:
    """Each command the application may run is covered, and no permissive policy that applies opens more than the tenant's
    own rows: permissive policies are combined with OR, so that the weakest one decides."""
    offenders: dict[str, str] = {}
    for table in tables:
        ours = [p for p in policies if p["table"] == table["name"] and p["applies"] and p["permissive"]]
        faults = [f"{p['name']}: {fault}" for p in ours if (fault := policy_fault(p, column))]
        covered = {p["command"] for p in ours}
        uncovered = [c for c in table["commands"] if not {c, "ALL"} & covered]
        if uncovered:
            faults.append(f"no policy for {', '.join(uncovered)}")
        if faults:
            offenders[table["name"]] = "; ".join(faults)
    return judge_each(
        "tenant tables",
        [table["name"] for table in tables],
        offenders,
        sound="have policies that confine every command to the tenant",
        fault="have unsound policies",
        policies=[
            {key: p[key] for key in ("table", "name", "command", "using", "with_check", "applies")} for p in policies
        ],
    )


def policy_fault(policy: Row, column: str) -> str | None:
    """What makes a permissive policy unsound, if anything. A missing WITH CHECK is USING's (CREATE POLICY), except for
    INSERT, which has no USING."""
    checked = {"USING": policy["using"]} if policy["command"] != "INSERT" else {}
    if policy["command"] in ("INSERT", "UPDATE", "ALL"):
        checked["WITH CHECK"] = policy["with_check"] or policy["using"]
    for clause, expression in checked.items():
        fault = expression_fault(expression, column)
        if fault:
            return f"{clause} {fault}"
    return None


def expression_fault(expression: str | None, column: str) -> str | None:
    """Why an expression does not confine rows to one tenant; a plain reading of PostgreSQL's own normal form."""
    if not expression:
        return "is missing"
    bare = re.sub(r"'(?:[^']|'')*'", "''", expression)
    if re.search(r"\bOR\b", bare):
        return "has an OR, which may open other tenants' rows"
    if not re.search(rf"\b{re.escape(column)}\b\"?\)?(?:::\w+)? = |= \(?\"?{re.escape(column)}\b", bare):
        return f"does not compare {column}"
    if re.search(rf"\b{re.escape(column)}\b\"? = \(?\"?{re.escape(column)}\b", bare):
        return f"compares {column} with itself"
    return None


def judge_roles(app_role: str, roles: Collection[Row]) -> Verdict:
    if not roles:
        return blocked(f"the role {app_role} (tenancy_rls_app_role): the server has no such role")
    offenders = {}
    for role in roles:
        faults = [said for key, said in _ROLE_FAULTS.items() if role[key]]
        faults += [f"owns {', '.join(role['owns'])}"] if role["owns"] else []
        faults += [f"owns schema {', '.join(role['owns_schemas'])}"] if role["owns_schemas"] else []
        if faults:
            offenders[role["name"]] = f"{', '.join(faults)}; by way of {role['via']}"
    return judge_each(
        "roles the application can be",
        [role["name"] for role in roles],
        offenders,
        sound="are bound by row security",
        fault="escape row security",
    )


_ROLE_FAULTS = {"super": "SUPERUSER", "bypassrls": "BYPASSRLS", "createrole": "CREATEROLE"}


def judge_readers(tables: Collection[Row], readers: Collection[Row], definers: Collection[Row]) -> Verdict:
    """Whatever reads tenants' tables with somebody else's rights, and can be read or called by the application."""
    protected = {table["name"] for table in tables}
    offenders = {}
    for reader in readers:
        reads = sorted(protected & set(reader["reads"]))
        if reads and reader["kind"] == "m":
            offenders[reader["name"]] = f"materialized view of {reads[0]}"
        elif reads and not reader["invoker"]:
            offenders[reader["name"]] = f"view of {reads[0]} with the rights of {reader['owner']}"
    for definer in definers:
        if definer["bypasses"]:
            offenders[definer["name"]] = f"SECURITY DEFINER of {definer['owner']}, whom row security does not bind"
        elif not definer["pinned"]:
            offenders[definer["name"]] = "SECURITY DEFINER without a search_path of its own"
    for table in tables:
        if table["kind"] == "f" and table["commands"]:
            offenders[table["name"]] = "foreign table, which has no row security"
    return judge_each(
        "relations and functions within the application's reach",
        [*protected, *(reader["name"] for reader in readers), *(definer["name"] for definer in definers)],
        offenders,
        sound="read tenants' rows with the caller's rights only",
        fault="read tenants' rows with other rights",
    )


def judge_grants(tables: Collection[Row]) -> Verdict:
    """TRUNCATE ignores row security; REFERENCES and TRIGGER reveal or run code on other tenants' rows."""
    offenders = {}
    for table in tables:
        faults = [f"the application may {hazard}" for hazard in table["hazards"]]
        faults += [f"PUBLIC may {', '.join(sorted(set(table['public'])))}"] if table["public"] else []
        if faults:
            offenders[table["name"]] = "; ".join(faults)
    return judge_each(
        "tenant tables",
        [table["name"] for table in tables],
        offenders,
        sound="grant nothing that goes around row security",
        fault="grant what goes around row security",
    )


def judge_columns(everything: Collection[Row], shared: Collection[str]) -> Verdict:
    offenders = {}
    for table in everything:
        if table["name"] in shared:
            continue
        if not table["has_column"]:
            offenders[table["name"]] = "no tenant column, and not declared as shared"
        elif not table["not_null"]:
            offenders[table["name"]] = "the tenant column may be NULL"
    return judge_each(
        "tables",
        [table["name"] for table in everything],
        offenders,
        sound="say whose each row is, or are declared as shared",
        fault="do not say whose a row is",
        shared=sorted(shared),
    )


def _kind(table: Row) -> str:
    return "partition" if table["partition"] else ""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **AUDIT,
            **POSTGRES,
            **TENANCY,
        },
        supports_check_mode=True,
    )
    run_audit(module, CHECKS, examine)


if __name__ == "__main__":
    main()

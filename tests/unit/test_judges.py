"""Every judge, without any server: what it lets pass, what it fails, and what it must not take for evidence.

One table, and a test that no judge is missing from it: each stands there with a PASS and with something else. Where the
judges of a file need more than rows, they have a test file of its name instead.
"""

from __future__ import annotations

import ast
import importlib
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace

import pytest
from policy_audit.module_utils.audit_chain_format import Chain
from policy_audit.module_utils.backup_files import Backup
from policy_audit.module_utils.ci_rules import load_workflows
from policy_audit.module_utils.crontab import Entry as Cron
from policy_audit.module_utils.export_files import ExportFile
from policy_audit.module_utils.result import Attempt, Outcome
from policy_audit.module_utils.unanswerable import Unanswerable
from policy_audit.module_utils.vault import Rule

ROOT = Path(__file__).resolve().parents[2]
P, F, B = "PASS", "FAIL", "BLOCKED"
NOW = datetime(2026, 1, 10, tzinfo=timezone.utc)
DAY = timedelta(days=1)


def ok(reason="", action="it"):
    return Attempt(action, Outcome.ALLOWED, reason)


def no(reason="", action="it"):
    return Attempt(action, Outcome.REFUSED, reason)


UNCLEAR = Attempt("it", Outcome.UNCLEAR)


# --- PostgreSQL -------------------------------------------------------------------------------------------------------
TABLE = {
    "name": "app.t", "kind": "r", "partition": False, "enabled": True, "forced": True, "owner": "o", "has_column": True,
    "not_null": True, "commands": ["SELECT", "INSERT"], "hazards": [], "public": [],
}  # fmt: skip
USING = "(tenant_id = (NULLIF(current_setting('app.t'::text, true), ''::text))::uuid)"
POLICY = {
    "table": "app.t", "name": "p", "permissive": True, "command": "ALL", "applies": True, "using": USING, "with_check": USING,
}  # fmt: skip
ROLE = {
    "name": "app",
    "via": "app",
    "super": False,
    "bypassrls": False,
    "createrole": False,
    "owns": [],
    "owns_schemas": [],
}
VIEW = {"name": "app.v", "kind": "v", "invoker": True, "owner": "o", "reads": ["app.t"]}
DEFINER = {"name": "app.f", "owner": "o", "bypasses": False, "pinned": True}
LOG_ROLE = {"role": "app", "becomes": "app", "super": False, "owner": False, "schema_owner": False, "may": []}

# --- backups, exports, logs -------------------------------------------------------------------------------------------
FILE = ExportFile("x/a.jsonl", "acme", "events", records=2, sha256="d", ids_digest="i")
ENTRY = {"key": "x/a.jsonl", "tenant": "acme", "records": 2, "sha256": "d"}
MANIFEST = {
    "key": "x/manifest.json",
    "window": {"from": "2026-01-09T00:00:00+00:00", "to": "2026-01-10T00:00:00+00:00"},
    "files": [ENTRY],
}
SOURCE = {"tenant": "acme", "records": 2, "digest": "i"}


def file(**changes):
    return ExportFile(**{**FILE.__dict__, **changes})


def backup(age=timedelta(0), name="b"):
    return Backup(Path("/nonexistent") / name, NOW - age, {})


def chain(**changes):
    made = Chain()
    made.records, made.segments, made.newest = 3, 1, "2026-01-10T00:00:00Z"
    for key, value in changes.items():
        setattr(made, key, value)
    return made


def stored(**changes):
    """A backup as the checksum judge sees it."""
    return SimpleNamespace(name="b", **{"recorded": {"dump/t": "1"}, "found": {"dump/t": "1"}, **changes})


def lock_drill(**changes):
    good = {
        "delete": no("AccessDenied"), "shorten": no("AccessDenied"), "weaken": no("AccessDenied"), "extend": ok(),
        "overwrite": ok("v2"), "first_again": b"first version", "freed": ok(), "swept": [],
    }  # fmt: skip
    return SimpleNamespace(**{**good, **changes})


def state(rows="2:1:1", sequence=5, **objects):
    return SimpleNamespace(content={"app.t": rows} if rows else {}, objects=objects, sequences={"app.s": sequence})


COMPLIANCE = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 400}}}
GOVERNANCE = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 400}}}
EXPIRE = {"ID": "tidy", "Status": "Enabled", "Filter": {"Prefix": "log/"}, "Expiration": {"Days": 30}}

# --- Vault ------------------------------------------------------------------------------------------------------------
HEALTHY = {"initialized": True, "sealed": False, "version": "2"}
DEVICE = {"file/": {"type": "file", "options": {}}}
LIMITS = {"secret_id_ttl_s": 100, "secret_id_uses": 2, "token_ttl_s": 100, "token_max_ttl_s": 100}
APPROLE = {
    "secret_id_ttl": 100, "secret_id_num_uses": 1, "token_ttl": 50, "token_max_ttl": 100, "token_policies": ["app"],
    "bind_secret_id": True,
}  # fmt: skip
KV = {"current_version": 1, "versions": {"1": {"deletion_time": "", "destroyed": False}}}
READ, WRITE = frozenset({"read"}), frozenset({"update"})


def session(**changes):
    return SimpleNamespace(**{"login": ok(), "token": "t0", "own": ok(), "request_id": "r", **changes})


def log_lines(value="hmac-sha256:ab", types=("request", "response")):
    return [
        json.dumps(
            {
                "type": kind,
                "request": {"id": "r", "client_token": "hmac-sha256:cd"},
                "response": {"data": {"data": {"k": value}}},
            }
        )
        for kind in types
    ]


# --- alerts -----------------------------------------------------------------------------------------------------------
UP = {"labels": {"job": "app", "instance": "i"}, "health": "up", "lastError": ""}
LIVE = {
    "group": "g", "name": "A", "type": "alerting", "health": "ok", "lastEvaluation": "2026-01-10T00:00:00.123456789Z",
    "query": "up == 0", "duration": 60, "labels": {"severity": "critical"}, "annotations": {"runbook_url": "https://r.example/a"},
    "state": "inactive",
}  # fmt: skip
WRITTEN = {"g/A": {"expr": "up == 0", "for": 60.0, "labels": LIVE["labels"], "annotations": LIVE["annotations"]}}
ROUTES = {"route": {"receiver": "pager"}, "receivers": [{"name": "pager", "webhook_configs": [{}]}, {"name": "nobody"}]}
ALERT = {"A": {"alertname": "A", "severity": "critical"}}
SILENCE = {
    "id": "1",
    "createdBy": "x",
    "matchers": [{"name": "alertname", "value": "A", "isRegex": False, "isEqual": True}],
}
INHIBITED = {
    **ROUTES,
    "inhibit_rules": [{"source_matchers": ['alertname="W"'], "target_matchers": ['severity="critical"']}],
}
TO_NOBODY = {
    **ROUTES,
    "route": {"receiver": "pager", "routes": [{"receiver": "nobody", "matchers": ["alertname=~A|B"]}]},
}

CASES = [
    # A02
    ("vault_configuration", "judge_health", ("https://v:8200", HEALTHY), P),
    ("vault_configuration", "judge_health", ("http://127.0.0.1:8200", HEALTHY), P),
    ("vault_configuration", "judge_health", ("http://v:8200", HEALTHY), F),
    ("vault_configuration", "judge_health", ("https://v:8200", {}), F),
    ("vault_configuration", "judge_audit_devices", (DEVICE, {}), P),
    ("vault_configuration", "judge_audit_devices", ({}, {}), F),
    (
        "vault_configuration",
        "judge_audit_devices",
        ({"file/": {"type": "file", "options": {"log_raw": "true"}}}, {}),
        F,
    ),
    (
        "vault_configuration",
        "judge_audit_devices",
        (DEVICE, {"kv/": {"config": {"audit_non_hmac_request_keys": ["x"]}}}),
        F,
    ),
    ("vault_configuration", "judge_auth_methods", ({"token/": {"type": "token"}}, ["token"]), P),
    ("vault_configuration", "judge_auth_methods", ({"up/": {"type": "userpass"}}, ["token"]), F),
    ("vault_configuration", "judge_auth_methods", ({}, ["token"]), B),
    ("vault_configuration", "judge_tokens", ({"a": {"policies": ["app"], "ttl": 60, "orphan": True}},), P),
    ("vault_configuration", "judge_tokens", ({"a": {"policies": ["root"], "ttl": 60}},), F),
    (
        "vault_configuration",
        "judge_tokens",
        ({"a": {"policies": ["app"], "ttl": 60, "period": 60, "orphan": True}},),
        F,
    ),
    ("vault_configuration", "judge_tokens", ({},), B),
    ("vault_configuration", "judge_secrets", ({"kv/a": KV},), P),
    ("vault_configuration", "judge_secrets", ({"kv/a": {}},), F),
    ("vault_configuration", "judge_secrets", ({"kv/a": {**KV, "versions": {"1": {"deletion_time": "x"}}}},), F),
    ("vault_configuration", "judge_secrets", ({},), B),
    ("vault_configuration", "judge_approles", ({"app": APPROLE}, {}, LIMITS), P),
    ("vault_configuration", "judge_approles", ({"app": {**APPROLE, "secret_id_num_uses": 0}}, {}, LIMITS), F),
    ("vault_configuration", "judge_approles", ({"app": {**APPROLE, "token_policies": ["root"]}}, {}, LIMITS), F),
    ("vault_configuration", "judge_approles", ({"app": {**APPROLE, "bind_secret_id": False}}, {}, LIMITS), F),
    (
        "vault_configuration",
        "judge_approles",
        ({"app": APPROLE}, {"old": {"secret_id_ttl": 0, "secret_id_num_uses": 0}}, LIMITS),
        F,
    ),
    ("vault_configuration", "judge_approles", ({}, {}, LIMITS), B),
    ("vault_configuration", "judge_policies", ({"app": ["r"]}, {"app": [Rule("kv/data/app/db", READ)]}), P),
    ("vault_configuration", "judge_policies", ({"app": ["r"]}, {"app": [Rule("kv/*", READ)]}), F),
    ("vault_configuration", "judge_policies", ({"app": ["r"]}, {"app": [Rule("kv/data/*", READ)]}), F),
    (
        "vault_configuration",
        "judge_policies",
        ({"app": ["r"]}, {"app": [Rule("sys/policies/acl/app", frozenset({"update"}))]}),
        F,
    ),
    (
        "vault_configuration",
        "judge_policies",
        ({"app": ["r"]}, {"app": [Rule("kv/data/app/x", frozenset({"sudo"}))]}),
        F,
    ),
    ("vault_configuration", "judge_policies", ({"app": ["r"]}, {"app": [Rule("auth/token/renew-self", WRITE)]}), P),
    ("vault_configuration", "judge_policies", ({"app": ["r"]}, {"app": [Rule("auth/token/roles/x", WRITE)]}), F),
    ("vault_configuration", "judge_policies", ({"root": ["r"]}, {}), F),
    ("vault_configuration", "judge_policies", ({}, {}), B),
    ("vault_probe", "judge_login", (session(),), P),
    ("vault_probe", "judge_login", (session(login=no("400"), token=""),), F),
    ("vault_probe", "judge_scope", (ok(), [no("403")]), P),
    ("vault_probe", "judge_scope", (ok(), [no("403"), ok()]), F),
    ("vault_probe", "judge_scope", (no("403"), [no("403")]), B),
    ("vault_probe", "judge_scope", (ok(), [UNCLEAR]), B),
    ("vault_probe", "judge_log", ("r", log_lines(), "t0"), P),
    ("vault_probe", "judge_log", ("r", [], "t0"), F),
    ("vault_probe", "judge_log", ("r", log_lines(value="plain"), "t0"), F),
    ("vault_probe", "judge_log", ("r", log_lines(types=("request",)), "t0"), B),
    ("host_secrets", "judge_host", (["process 1"], [], 3, {}, 10), P),
    ("host_secrets", "judge_host", (["process 1"], [], 3, {"process 1 X": "a value"}, 10), F),
    ("host_secrets", "judge_host", ([], ["/etc/x"], 3, {}, 10), B),
    ("host_secrets", "judge_host", (["process 1"], [], 0, {}, 10), B),
    # A05
    ("audit_bucket", "judge_lock", ("Enabled", COMPLIANCE, 365), P),
    ("audit_bucket", "judge_lock", ("Suspended", COMPLIANCE, 365), F),
    ("audit_bucket", "judge_lock", ("Enabled", GOVERNANCE, 365), F),
    ("audit_bucket", "judge_lock", ("Enabled", COMPLIANCE, 500), F),
    ("audit_bucket", "judge_lock", ("Enabled", {}, 365), F),
    ("audit_bucket", "judge_lifecycle", ([], "log/", 365), P),
    ("audit_bucket", "judge_lifecycle", ([{**EXPIRE, "Filter": {"Prefix": "other/"}}], "log/", 365), P),
    ("audit_bucket", "judge_lifecycle", ([EXPIRE], "log/", 365), F),
    (
        "audit_bucket",
        "judge_lifecycle",
        ([{"Status": "Enabled", "NoncurrentVersionExpiration": {"NoncurrentDays": 1}}], "log/", 365),
        F,
    ),
    ("audit_bucket", "judge_writer", ([no("AccessDenied")],), P),
    ("audit_bucket", "judge_writer", ([no("AccessDenied"), ok()],), F),
    ("audit_bucket", "judge_writer", ([no("NoSuchKey")],), F),
    ("audit_bucket", "judge_writer", ([no("SlowDown")],), B),
    ("audit_bucket", "judge_delete", (lock_drill(),), P),
    ("audit_bucket", "judge_delete", (lock_drill(delete=ok()),), F),
    ("audit_bucket", "judge_delete", (lock_drill(freed=no("AccessDenied")),), B),
    ("audit_bucket", "judge_delete", (lock_drill(delete=no("NoSuchKey")),), B),
    ("audit_bucket", "judge_shortening", (lock_drill(),), P),
    ("audit_bucket", "judge_shortening", (lock_drill(shorten=ok()),), F),
    ("audit_bucket", "judge_shortening", (lock_drill(weaken=ok()),), F),
    ("audit_bucket", "judge_shortening", (lock_drill(extend=no("AccessDenied")),), B),
    ("audit_bucket", "judge_overwrite", (lock_drill(),), P),
    ("audit_bucket", "judge_overwrite", (lock_drill(first_again=b"second version"),), F),
    ("audit_bucket", "judge_overwrite", (lock_drill(overwrite=no("AccessDenied")),), B),
    ("audit_chain", "judge_chain", (chain(), []), P),
    ("audit_chain", "judge_chain", (chain(breaks=["x"]), []), F),
    ("audit_chain", "judge_chain", (chain(), ["log/1: hidden"]), F),
    ("audit_chain", "judge_chain", (Chain(), []), B),
    ("audit_chain", "judge_fresh", ("2026-01-09T23:59:00+00:00", NOW, 3600), P),
    ("audit_chain", "judge_fresh", ("2026-01-01T00:00:00+00:00", NOW, 3600), F),
    ("audit_chain", "judge_fresh", ("2027-01-01T00:00:00+00:00", NOW, 3600), F),
    ("audit_chain", "judge_fresh", ("", NOW, 3600), B),
    ("audit_chain", "judge_event", ("r", [{"seq": 1}], True, 15), P),
    ("audit_chain", "judge_event", ("r", [{"seq": 1}], False, 15), F),
    ("audit_chain", "judge_event", ("r", [], False, 15), F),
    ("audit_table", "judge_append_only", ("a.e", ["app"], [LOG_ROLE], []), P),
    ("audit_table", "judge_append_only", ("a.e", ["app"], [{**LOG_ROLE, "may": ["UPDATE"]}], []), F),
    ("audit_table", "judge_append_only", ("a.e", ["app"], [{**LOG_ROLE, "becomes": "o", "owner": True}], []), F),
    ("audit_table", "judge_append_only", ("a.e", ["app"], [LOG_ROLE], [{"name": "trigger t", "state": "D"}]), F),
    ("audit_table", "judge_append_only", ("a.e", ["app"], [LOG_ROLE], [{"name": "rule r", "state": "rule"}]), F),
    ("audit_table", "judge_append_only", ("a.e", ["app", "etl"], [LOG_ROLE], []), B),
    ("audit_table", "judge_change", ("a.e", ok("1 rows"), no("42501")), P),
    ("audit_table", "judge_change", ("a.e", ok("1 rows"), ok("1 rows")), F),
    ("audit_table", "judge_change", ("a.e", ok("1 rows"), ok("0 rows")), B),
    ("audit_table", "judge_change", ("a.e", ok("0 rows"), no("42501")), B),
    ("audit_table", "judge_change", ("a.e", ok("1 rows"), no("42P01")), B),
    # A06
    ("postgres_rls", "judge_enabled", ([TABLE],), P),
    ("postgres_rls", "judge_enabled", ([{**TABLE, "enabled": False}],), F),
    ("postgres_rls", "judge_enabled", ([],), B),
    ("postgres_rls", "judge_forced", ([TABLE],), P),
    ("postgres_rls", "judge_forced", ([{**TABLE, "forced": False}],), F),
    ("postgres_rls", "judge_forced", ([],), B),
    ("postgres_rls", "judge_policies", ([TABLE], [POLICY], "tenant_id"), P),
    ("postgres_rls", "judge_policies", ([TABLE], [], "tenant_id"), F),
    ("postgres_rls", "judge_policies", ([TABLE], [{**POLICY, "applies": False}], "tenant_id"), F),
    ("postgres_rls", "judge_policies", ([TABLE], [POLICY, {**POLICY, "using": "true"}], "tenant_id"), F),
    ("postgres_rls", "judge_policies", ([TABLE], [{**POLICY, "using": f"({USING} OR is_admin())"}], "tenant_id"), F),
    ("postgres_rls", "judge_policies", ([TABLE], [{**POLICY, "with_check": "true"}], "tenant_id"), F),
    ("postgres_rls", "judge_policies", ([TABLE], [{**POLICY, "using": "(tenant_id = tenant_id)"}], "tenant_id"), F),
    ("postgres_rls", "judge_policies", ([TABLE], [{**POLICY, "command": "SELECT"}], "tenant_id"), F),
    ("postgres_rls", "judge_policies", ([], [], "tenant_id"), B),
    ("postgres_rls", "judge_roles", ("app", [ROLE]), P),
    ("postgres_rls", "judge_roles", ("app", [ROLE, {**ROLE, "name": "b", "bypassrls": True}]), F),
    ("postgres_rls", "judge_roles", ("app", [{**ROLE, "owns": ["app.t"]}]), F),
    ("postgres_rls", "judge_roles", ("app", []), B),
    ("postgres_rls", "judge_readers", ([TABLE], [VIEW], [DEFINER]), P),
    ("postgres_rls", "judge_readers", ([TABLE], [{**VIEW, "invoker": False}], []), F),
    ("postgres_rls", "judge_readers", ([TABLE], [{**VIEW, "kind": "m"}], []), F),
    ("postgres_rls", "judge_readers", ([TABLE], [], [{**DEFINER, "pinned": False}]), F),
    ("postgres_rls", "judge_readers", ([TABLE], [], [{**DEFINER, "bypasses": True}]), F),
    ("postgres_rls", "judge_readers", ([{**TABLE, "kind": "f"}], [], []), F),
    ("postgres_rls", "judge_readers", ([], [], []), B),
    ("postgres_rls", "judge_grants", ([TABLE],), P),
    ("postgres_rls", "judge_grants", ([{**TABLE, "hazards": ["TRUNCATE"]}],), F),
    ("postgres_rls", "judge_grants", ([{**TABLE, "public": ["SELECT"]}],), F),
    ("postgres_rls", "judge_grants", ([],), B),
    ("postgres_rls", "judge_columns", ([TABLE, {**TABLE, "name": "app.s", "has_column": False}], {"app.s"}), P),
    ("postgres_rls", "judge_columns", ([{**TABLE, "has_column": False}], set()), F),
    ("postgres_rls", "judge_columns", ([{**TABLE, "not_null": False}], set()), F),
    ("postgres_rls", "judge_columns", ([], set()), B),
    ("postgres_rls_probe", "judge_closed", ({"unset": {"t": 0}}, {"t": 2}), P),
    ("postgres_rls_probe", "judge_closed", ({"unset": {"t": 1}}, {"t": 2}), F),
    ("postgres_rls_probe", "judge_closed", ({"unset": {"t": 0}}, {"t": 0}), B),
    ("postgres_rls_probe", "judge_own_rows", ({"t": 1}, {"t": 2}), P),
    ("postgres_rls_probe", "judge_own_rows", ({"t": 1}, {"t": 0}), B),
    ("postgres_rls_probe", "judge_cross_read", ({"t": 2}, {"t": 0}), P),
    ("postgres_rls_probe", "judge_cross_read", ({"t": 2}, {"t": 1}), F),
    ("postgres_rls_probe", "judge_cross_read", ({"t": 0}, {"t": 0}), B),
    ("postgres_rls_probe", "judge_attempts", ("moving", {"t": (ok("1 rows"), no("42501"))}, ["t"]), P),
    ("postgres_rls_probe", "judge_attempts", ("moving", {"t": (ok("1 rows"), no("0 rows"))}, ["t"]), P),
    ("postgres_rls_probe", "judge_attempts", ("moving", {"t": (ok("1 rows"), ok("1 rows"))}, ["t"]), F),
    ("postgres_rls_probe", "judge_attempts", ("moving", {"t": (no("42501"), no("42501"))}, ["t"]), B),
    ("postgres_rls_probe", "judge_attempts", ("moving", {"t": (ok("1 rows"), no("22P02"))}, ["t"]), B),
    ("postgres_rls_probe", "judge_attempts", ("moving", {}, ["t"]), B),
    ("postgres_rls_probe", "judge_escapes", (ok(), [no("42501")], "t"), P),
    ("postgres_rls_probe", "judge_escapes", (ok(), [no("42501"), ok()], "t"), F),
    ("postgres_rls_probe", "judge_escapes", (no("42501"), [no("42501")], "t"), B),
    ("postgres_rls_probe", "judge_escapes", (ok(), [no("42704")], "t"), B),
    # A07
    ("backup_series", "judge_timer", ("t", {"is-enabled": "enabled", "is-active": "active"}), P),
    ("backup_series", "judge_timer", ("t", {"is-enabled": "disabled", "is-active": "active"}), F),
    ("backup_series", "judge_crontab", ("c", [Cron("0 2 * * *", "atom backup")], "backup"), P),
    ("backup_series", "judge_crontab", ("c", [Cron("0 2 * * 0", "atom backup")], "backup"), F),
    ("backup_series", "judge_crontab", ("c", [Cron("0 2 * * *", "other")], "backup"), F),
    ("backup_series", "judge_crontab", ("c", [Cron("61 2 * * *", "atom backup")], "backup"), B),
    ("backup_series", "judge_fresh", ([backup(DAY), backup()], [], NOW, DAY), P),
    ("backup_series", "judge_fresh", ([], [], NOW, DAY), F),
    ("backup_series", "judge_fresh", ([backup(3 * DAY)], [], NOW, DAY), F),
    ("backup_series", "judge_fresh", ([backup(5 * DAY), backup()], [], NOW, DAY), F),
    ("backup_series", "judge_fresh", ([backup()], ["half"], NOW, DAY), F),
    ("backup_series", "judge_fresh", ([backup(-9 * DAY)], [], NOW, DAY), F),
    ("backup_series", "judge_protected", (["b"], 3, {}, None, []), P),
    ("backup_series", "judge_protected", (["b"], 3, {"b/x": "mode 0644"}, None, []), F),
    ("backup_series", "judge_protected", (["b"], 3, {}, "/off", ["b"]), F),
    ("backup_series", "judge_protected", ([], 0, {}, None, []), B),
    ("backup_series", "judge_retention", ([backup()], 1, NOW - DAY), P),
    ("backup_series", "judge_retention", ([backup()], 2, NOW - DAY), F),
    ("backup_series", "judge_retention", ([backup(9 * DAY)], 1, NOW - DAY), F),
    ("backup_series", "judge_retention", ([], 1, NOW - DAY), B),
    ("backup_drill", "judge_taken", ({"toc.dat": "1"}, 1.0, []), P),
    ("backup_drill", "judge_taken", ({}, 1.0, []), F),
    ("backup_drill", "judge_checksum", ({"t": "1"}, {"t": "1"}, stored()), P),
    ("backup_drill", "judge_checksum", ({"t": "1"}, {"t": "2"}, stored()), F),
    ("backup_drill", "judge_checksum", ({"t": "1"}, {"t": "1"}, stored(found={"dump/t": "2"})), F),
    ("backup_drill", "judge_checksum", ({"t": "1"}, {"t": "1"}, stored(found={})), F),
    ("backup_drill", "judge_checksum", ({"t": "1"}, {"t": "1"}, None), B),
    ("backup_drill", "judge_restore", (state(), 1.0), P),
    ("backup_drill", "judge_restore", (state(rows=""), 1.0), F),
    ("backup_drill", "judge_equal", (state(p="x"), state(p="x"), {"app.s": 4}), P),
    ("backup_drill", "judge_equal", (state("2:1:1"), state("2:1:2"), {}), F),
    ("backup_drill", "judge_equal", (state(p="x"), state(), {}), F),
    ("backup_drill", "judge_equal", (state(), state(sequence=3), {"app.s": 4}), F),
    ("backup_drill", "judge_equal", (state(rows=""), state(rows=""), {}), B),
    ("backup_drill", "judge_latest", (backup(), state(), 1.0), P),
    ("backup_drill", "judge_latest", (backup(), state("0:0:0"), 1.0), F),
    ("backup_drill", "judge_rto", (1.0, 2.0), P),
    ("backup_drill", "judge_rto", (3.0, 2.0), F),
    # A08
    ("alert_rules", "judge_targets", ([UP], ["app"]), P),
    ("alert_rules", "judge_targets", ([{**UP, "health": "down", "lastError": "HTTP status 404 Not Found"}], []), F),
    ("alert_rules", "judge_targets", ([UP], ["app", "other"]), F),
    ("alert_rules", "judge_targets", ([{**UP, "health": "down", "lastError": "connect: connection refused"}], []), B),
    ("alert_rules", "judge_targets", ([], []), B),
    ("alert_rules", "judge_watchdog", ("A", [{**LIVE, "state": "firing"}]), P),
    ("alert_rules", "judge_watchdog", ("A", [LIVE]), F),
    ("alert_rules", "judge_watchdog", ("W", [LIVE]), F),
    ("alert_rules", "judge_healthy", ([LIVE], WRITTEN, NOW, 60), P),
    ("alert_rules", "judge_healthy", ([{**LIVE, "health": "err"}], WRITTEN, NOW, 60), F),
    ("alert_rules", "judge_healthy", ([{**LIVE, "query": "up == 1"}], WRITTEN, NOW, 60), F),
    ("alert_rules", "judge_healthy", ([LIVE], {}, NOW, 60), F),
    ("alert_rules", "judge_healthy", ([], WRITTEN, NOW, 60), F),
    ("alert_rules", "judge_healthy", ([LIVE], WRITTEN, NOW + DAY, 60), F),
    ("alert_rules", "judge_healthy", ([], {}, NOW, 60), B),
    ("alert_rules", "judge_required", (["A"], {"A": LIVE}, {"up": 1}, ["critical"], 900), P),
    ("alert_rules", "judge_required", (["A"], {}, {}, ["critical"], 900), F),
    ("alert_rules", "judge_required", (["A"], {"A": LIVE}, {"up": 0}, ["critical"], 900), F),
    ("alert_rules", "judge_required", (["A"], {"A": {**LIVE, "query": "up"}}, {"up": 1}, ["critical"], 900), F),
    ("alert_rules", "judge_required", (["A"], {"A": {**LIVE, "duration": 0}}, {"up": 1}, ["critical"], 900), F),
    ("alert_rules", "judge_required", (["A"], {"A": {**LIVE, "duration": 9999}}, {"up": 1}, ["critical"], 900), F),
    ("alert_rules", "judge_required", (["A"], {"A": {**LIVE, "labels": {}}}, {"up": 1}, ["critical"], 900), F),
    ("alert_rules", "judge_required", (["A"], {"A": {**LIVE, "annotations": {}}}, {"up": 1}, ["critical"], 900), F),
    ("alert_rules", "judge_required", ([], {}, {}, ["critical"], 900), B),
    ("alert_routing", "judge_routed", (ALERT, ROUTES, [], {}), P),
    ("alert_routing", "judge_routed", (ALERT, TO_NOBODY, [], {}), F),
    ("alert_routing", "judge_routed", (ALERT, ROUTES, [SILENCE], {}), F),
    ("alert_routing", "judge_routed", (ALERT, INHIBITED, [], {"alertname": "W"}), F),
    ("alert_routing", "judge_routed", ({}, ROUTES, [], {}), B),
    ("alert_drill", "judge_wait", ("it fires", 1.0, 30, {"run": "r", "status": "failed"}), P),
    ("alert_drill", "judge_wait", ("it fires", None, 30, {"run": "r", "status": "failed"}), F),
    ("alert_drill", "judge_wait", ("it fires", 1.0, 30, {}), B),
    # A09
    ("audit_export", "judge_present", (MANIFEST, {"x/a.jsonl": {}}, NOW, 3600), P),
    ("audit_export", "judge_present", (MANIFEST, {}, NOW, 3600), F),
    ("audit_export", "judge_present", (MANIFEST, {"x/a.jsonl": {}}, NOW + DAY, 3600), F),
    ("audit_export", "judge_present", ({**MANIFEST, "files": []}, {}, NOW, 3600), B),
    ("audit_export", "judge_manifest", (MANIFEST, [FILE]), P),
    ("audit_export", "judge_manifest", (MANIFEST, [file(sha256="e")]), F),
    ("audit_export", "judge_manifest", (MANIFEST, [file(records=3)]), F),
    ("audit_export", "judge_manifest", (MANIFEST, []), B),
    ("audit_export", "judge_lines", ([FILE],), P),
    ("audit_export", "judge_lines", ([file(invalid=["line 1"])],), F),
    ("audit_export", "judge_lines", ([file(records=0)],), B),
    ("audit_export", "judge_secrets", ([FILE],), P),
    ("audit_export", "judge_secrets", ([file(secrets=["line 1"])],), F),
    ("audit_export", "judge_secrets", ([],), B),
    ("audit_export", "judge_tenants", ([FILE],), P),
    ("audit_export", "judge_tenants", ([file(foreign=["line 1"])],), F),
    ("audit_export", "judge_tenants", ([],), B),
    ("audit_export", "judge_complete", ([SOURCE], [FILE]), P),
    ("audit_export", "judge_complete", ([SOURCE], []), F),
    ("audit_export", "judge_complete", ([SOURCE], [file(records=1)]), F),
    ("audit_export", "judge_complete", ([SOURCE], [file(ids_digest="j")]), F),
    ("audit_export", "judge_complete", ([SOURCE], [file(duplicates=1)]), F),
    ("audit_export", "judge_complete", ([], []), B),
    ("audit_export", "judge_reproducible", (MANIFEST, MANIFEST), P),
    ("audit_export", "judge_reproducible", (MANIFEST, {**MANIFEST, "files": [{**ENTRY, "sha256": "e"}]}), F),
    # A10
    ("ci_pipeline", "judge_findings", (["a.yml"], [], {"unpinned-uses"}), P),
    ("ci_pipeline", "judge_findings", (["a.yml"], [{"rule": "unpinned-uses", "file": "a.yml"}], {"unpinned-uses"}), F),
    ("ci_pipeline", "judge_findings", ([], [], {"unpinned-uses"}), B),
    ("image_signatures", "judge_images", ({"a": "sha256:1"}, {}), P),
    ("image_signatures", "judge_images", ({"a": "sha256:1"}, {"a": "not signed"}), F),
    ("image_signatures", "judge_images", ({}, {}), B),
    ("admission_probe", "judge_admitted", (ok(), "i"), P),
    ("admission_probe", "judge_admitted", (no("403"), "i"), F),
]

# --- pipelines: judged from workflow files ----------------------------------------------------------------------------
GOOD = """
on:
  push: {branches: [main]}
  schedule: [{cron: "17 3 * * 1"}]
jobs:
  build:
    steps:
      - {uses: docker/build-push-action@v6, with: {push: true}}
      - {run: 'cosign sign --yes "app@${DIGEST}"'}
  gate:
    needs: build
    steps: [{run: 'cosign verify --certificate-identity me "app@${DIGEST}"'}]
  deploy:
    needs: [gate]
    steps: [{run: kubectl apply -f app.yml}]
  audit:
    steps: [{run: ansible-playbook audit.yml -i prod}]
"""
GATE = r"\bkubectl\s"
VERIFY = """{run: 'cosign verify --certificate-identity me "app@${DIGEST}"'}"""
AUDIT = r"ansible-playbook\s+audit\.yml"
EDITS = [
    ("judge_signing", "", "", P),
    ("judge_signing", 'cosign sign --yes "app@${DIGEST}"', "true", F),
    ("judge_signing", "app@${DIGEST}\"'}\n  gate", "app:${TAG}\"'}\n  gate", F),
    ("judge_signing", "{run: 'cosign sign", "{continue-on-error: true, run: 'cosign sign", F),
    ("judge_signing", "{run: 'cosign sign", "{if: github.ref == 'x', run: 'cosign sign", F),
    ("judge_signing", 'sign --yes "app@${DIGEST}"', 'sign --yes "app@${DIGEST}" || true', F),
    ("judge_signing", "push: true", "push: false", B),
    ("judge_signing", "push: true", "push: \"${{ github.ref == 'x' }}\"", P),
    ("judge_signing", "steps: [{run: kubectl", "steps: [{run: docker push x}, {run: kubectl", F),
    ("judge_gate", "", "", P),
    ("judge_gate", "needs: [gate]", "needs: [build]", F),
    ("judge_gate", "needs: [gate]", "needs: [gate]\n    if: always()", F),
    ("judge_gate", "needs: build", "needs: build\n    continue-on-error: true", F),
    ("judge_gate", "needs: build", "needs: build\n    if: always()", F),
    ("judge_gate", "--certificate-identity me", "--insecure-ignore-tlog --key k", F),
    ("judge_gate", "--certificate-identity me", "--certificate-identity-regexp .*", F),
    ("judge_gate", 'me "app@${DIGEST}"', 'me "app:latest"', F),
    ("judge_gate", 'me "app@${DIGEST}"', 'me "app@${DIGEST}" || true', F),
    ("judge_gate", "needs: [gate]\n    steps: [{run: kubectl", f"steps: [{VERIFY}, {{run: kubectl", P),
    (
        "judge_gate",
        "needs: [gate]\n    steps: [{run: kubectl apply -f app.yml}",
        f"steps: [{{run: kubectl x}}, {VERIFY}",
        F,
    ),
    ("judge_gate", "kubectl", "echo", B),
    ("judge_weekly", "", "", P),
    ("judge_weekly", "17 3 * * 1", "17 3 1 * *", F),
    ("judge_weekly", "audit.yml -i prod", "audit.yml -i prod || true", F),
    ("judge_weekly", "ansible-playbook", "echo", F),
]
ARGUMENTS = {"judge_signing": (), "judge_gate": (GATE,), "judge_weekly": (AUDIT,)}


def judged(judge, arguments):
    """The status; a judge may also say that it cannot."""
    try:
        verdict = judge(*arguments)
    except Unanswerable:
        return B
    assert verdict.status.value == B or verdict.evidence, "a verdict without evidence"
    return verdict.status.value


@pytest.mark.parametrize(("module", "judge", "arguments", "status"), CASES)
def test_judge(module, judge, arguments, status):
    assert judged(getattr(importlib.import_module(f"policy_audit.library.{module}"), judge), arguments) == status


@pytest.mark.parametrize(("judge", "old", "new", "status"), EDITS)
def test_pipeline_judge(judge, old, new, status, tmp_path):
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    assert old in GOOD
    (folder / "ci.yml").write_text(GOOD.replace(old, new, 1) if old else GOOD)
    module = importlib.import_module("policy_audit.library.ci_pipeline")
    assert judged(getattr(module, judge), (load_workflows(tmp_path), *ARGUMENTS[judge])) == status


def test_no_judge_is_missing():
    judges = {
        (path.stem, node.name)
        for path in (*ROOT.glob("library/*.py"), *ROOT.glob("module_utils/*_rules.py"))
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("judge_")
    }
    table = [*CASES, *(("ci_pipeline", judge, (), status) for judge, _old, _new, status in EDITS)]
    passing = {(module, judge) for module, judge, _arguments, status in table if status == P}
    others = {(module, judge) for module, judge, _arguments, status in table if status != P}
    own = {(module, judge) for module, judge in judges if f".{judge}" in own_tests(module)}
    assert judges - passing - own == set()
    assert judges - others - own == set()


def own_tests(module):
    """The test file that a module has of its own; empty without one."""
    path = Path(__file__).with_name(f"test_{module}.py")
    return path.read_text() if path.exists() else ""

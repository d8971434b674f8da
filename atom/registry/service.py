"""What the registry does, whoever asks for it: HTTP, the scheduler, or the seed of a new environment.

Each operation is one transaction of one tenant, and leaves one audit record, accepted or refused. A refusal is recorded
in a transaction of its own, because the refused one leaves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import yaml

from atom import audit_log, packages, policy_engine
from atom.database import Database
from atom.registry import executor, rules, store
from atom.registry.identities import Identity
from atom.registry.refusals import Refusal
from atom.settings import Settings

SCHEDULER = Identity("scheduler", "admin", ("*",))


class Registry:
    """The operations. ``on_run`` is told tenant and final status of each run, ``on_event`` of each audit record."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        on_run: Callable[[str, str], None] = lambda *_: None,
        on_event: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings, self._database, self._on_run, self._on_event = settings, database, on_run, on_event
        self._memory = rules.SignatureMemory()
        with database.transaction() as cursor:
            self.tenants = store.tenants(cursor)

    def page(self, who: Identity, *, after: str = "", limit: int = 100) -> tuple[list[dict[str, Any]], str | None]:
        """A page of workflows, and where the next one starts."""
        visible = None if "*" in who.tenants else list(who.tenants)
        with self._database.transaction() as cursor:
            entries = store.index(cursor, visible=visible, after=after, limit=limit)
        found = [self._describe(entry["id"], entry["tenant"]) for entry in entries]
        return [one for one in found if one], entries[-1]["id"] if len(entries) == limit else None

    def get(self, who: Identity, workflow_id: str) -> dict[str, Any]:
        return self._describe(workflow_id, self._tenant(who, workflow_id)) or _not_found()

    def content(self, who: Identity, workflow_id: str) -> tuple[bytes, str | None]:
        """The exact bytes of the present version, and its signature."""
        with self._of(self._tenant(who, workflow_id)) as cursor:
            version = store.current(cursor, workflow_id) or _not_found()
            data = bytes(version["content"])
        if self._settings.defective("content_reformatted"):
            data = yaml.safe_dump(yaml.safe_load(data)).encode()
        return data, version["signature"]

    def upload(
        self, who: Identity, data: bytes, signature: str | None, request_id: str | None, replaces: str | None = None
    ) -> dict[str, Any]:
        """Take in a package: a new workflow, or with ``replaces`` a new version of one.

        :raises Refusal: for a signature, mode, package or caller that does not do.
        """
        action = "package.replace" if replaces else "package.upload"
        subject, tenant = replaces or "unparsed", None
        try:
            package = self._parse(data)
            subject, tenant = package.name, package.tenant
            if tenant not in self.tenants or not who.may_write(tenant):
                raise Refusal("forbidden", "this tenant is not yours to publish in")
            if replaces:
                self._tenant(who, replaces)
            signer = rules.signer_of(self._settings, self._memory, package.name, data, signature)
            rules.check_mode(self._settings, package)
            with self._of(tenant) as cursor:
                workflow_id = self._place(cursor, package, replaces)
                tenant_id = self.tenants[tenant]
                store.add_version(cursor, tenant_id, workflow_id, package, who.name, data, signature, signer)
                self._record(cursor, who, action, workflow_id, "accepted", tenant, request_id, digest=package.digest)
        except Refusal as refusal:
            self._record_refusal(who, action, subject, tenant, request_id, refusal)
            raise
        return self._describe(workflow_id, tenant) or _not_found()

    def delete(self, who: Identity, workflow_id: str, request_id: str | None) -> None:
        tenant = self._tenant(who, workflow_id)
        with self._refusals(who, "package.delete", workflow_id, tenant, request_id), self._of(tenant) as cursor:
            version = store.current(cursor, workflow_id) or _not_found()
            if not who.may_write(tenant) or (who.role != "admin" and who.name != version["author"]):
                raise Refusal("forbidden", "this workflow is not yours to delete")
            store.remove(cursor, workflow_id)
            self._record(cursor, who, "package.delete", workflow_id, "accepted", tenant, request_id)

    def approve(self, who: Identity, workflow_id: str, digest: str, request_id: str | None) -> dict[str, Any]:
        """Approve automatic runs of exactly these bytes.

        :raises Refusal: not_admin, self_approval, digest_mismatch.
        """
        tenant = self._tenant(who, workflow_id)
        with self._refusals(who, "approval.grant", workflow_id, tenant, request_id), self._of(tenant) as cursor:
            version = store.current(cursor, workflow_id) or _not_found()
            rules.check_approval(self._settings, who, version, digest)
            hours = float(self._settings["safety.approval_hours"])
            store.add_approval(cursor, self.tenants[tenant], workflow_id, digest, who.name, who.role, hours)
            self._record(cursor, who, "approval.grant", workflow_id, "accepted", tenant, request_id, digest=digest)
        return self.get(who, workflow_id)

    def dry_run(self, who: Identity, workflow_id: str, data: bytes, request_id: str | None) -> dict[str, Any]:
        """What a package would do that it must not; nothing is run, and only the fact of the dry-run is kept."""
        with self._refusals(who, "policy.dry_run", workflow_id, None, request_id):
            package = self._parse(data)
            if package.tenant not in self.tenants or not who.may_write(package.tenant):
                raise Refusal("forbidden", "this tenant is not yours to publish in")
        findings = policy_engine.judge(package, self._settings)
        verdict = "blocked" if findings else "allowed"
        with self._database.transaction() as cursor:
            known = store.tenant_of(cursor, workflow_id) == package.tenant
        with self._of(package.tenant) as cursor:
            if known:
                store.add_dry_run(cursor, self.tenants[package.tenant], workflow_id, package.digest, verdict)
            self._record(
                cursor, who, "policy.dry_run", workflow_id, "done", package.tenant, request_id, verdict=verdict
            )
        if known and self._settings.defective("dryrun_executes"):
            self._execute(who, self._current(workflow_id, package.tenant), package.tenant, "user", request_id)
        digest = (
            package.digest if not self._settings.defective("dryrun_other_digest") else packages.digest_of(data + b"\n")
        )
        return {"digest": digest, "verdict": verdict, "findings": [finding.as_json() for finding in findings]}

    def run(self, who: Identity, workflow_id: str, trigger: str, request_id: str | None) -> dict[str, str]:
        """Start a live run; it has ended when this returns.

        :raises Refusal: dry_run_required, policy_blocked.
        """
        tenant = self._tenant(who, workflow_id)
        with self._refusals(who, "run.start", workflow_id, tenant, request_id):
            if not who.may_write(tenant):
                raise Refusal("forbidden", "this workflow is not yours to run")
            with self._of(tenant) as cursor:
                version = store.current(cursor, workflow_id) or _not_found()
                hours = float(self._settings["policy.dry_run_hours"])
                dry_run = store.allowed_dry_run(cursor, workflow_id, version["digest"], hours)
            unsafe = bool(policy_engine.judge(packages.parse(bytes(version["content"])), self._settings))
            rules.check_run(self._settings, dry_run=dry_run, unsafe=unsafe)
        return self._execute(who, version, tenant, trigger, request_id)

    def runs(self, who: Identity, workflow_id: str) -> list[dict[str, Any]]:
        with self._of(self._tenant(who, workflow_id)) as cursor:
            return store.runs(cursor, workflow_id)

    def make_due(self, who: Identity, workflow_id: str, request_id: str | None) -> None:
        """Put a workflow before the scheduler as if its hour had come; the scheduler decides."""
        tenant = self._tenant(who, workflow_id)
        with self._refusals(who, "schedule.now", workflow_id, tenant, request_id):
            if not who.may_write(tenant):
                raise Refusal("forbidden", "this workflow is not yours to schedule")
            with self._of(tenant) as cursor:
                store.make_due(cursor, self.tenants[tenant], workflow_id, request_id)
                self._record(cursor, who, "schedule.now", workflow_id, "accepted", tenant, request_id)

    def tick(self) -> None:
        """One round of the scheduler: what is due starts if it is automatic, and is passed over if it is manual."""
        for tenant in self.tenants:
            with self._of(tenant) as cursor:
                due = store.take_due(cursor)
            for entry in due:
                self._consider(entry["id"], tenant, entry["request_id"])

    def _consider(self, workflow_id: str, tenant: str, request_id: str | None) -> None:
        """Start what is due if it is automatic and nothing in it is blocked; say which it was."""
        with self._of(tenant) as cursor:
            version = store.current(cursor, workflow_id)
            if version is None:
                return
            mode = rules.effective_mode(self._settings, version, store.approval(cursor, workflow_id))
            unsafe = bool(policy_engine.judge(packages.parse(bytes(version["content"])), self._settings))
            blocked = unsafe and not self._settings.defective("live_unsafe_allowed")
            starts = (mode == "auto" or self._settings.defective("scheduler_runs_manual")) and not blocked
            action = "scheduler.started" if starts else "scheduler.skipped"
            self._record(cursor, SCHEDULER, action, workflow_id, "done", tenant, request_id, mode=mode, blocked=blocked)
        if starts:
            self._execute(SCHEDULER, version, tenant, "scheduler", request_id)

    def events(self, request_id: str) -> list[dict[str, Any]]:
        """The audit records that requests with this prefix caused."""
        with self._database.transaction() as cursor:
            return audit_log.events(cursor, request_id=request_id)

    def _execute(
        self, who: Identity, version: dict[str, Any], tenant: str, trigger: str, request_id: str | None
    ) -> dict[str, str]:
        """Run exactly the version that was decided about, even if a newer one has come since."""
        tenant_id, workflow_id = self.tenants[tenant], str(version["id"])
        with self._of(tenant) as cursor:
            run_id, started = store.add_run(cursor, tenant_id, workflow_id, version["digest"], trigger)
            self._record(
                cursor, who, "run.start", workflow_id, "accepted", tenant, request_id, run_id=run_id, trigger=trigger
            )
        steps, reason = executor.execute(packages.parse(bytes(version["content"])))
        status = "failed" if reason else "succeeded"
        with self._of(tenant) as cursor:
            store.finish_run(cursor, tenant_id, run_id, started, steps, reason)
            outcome = "failed" if reason else "done"
            self._record(
                cursor, who, "run.finish", workflow_id, outcome, tenant, request_id, run_id=run_id, reason=reason
            )
        self._on_run(tenant, status)
        return {"run_id": run_id, "status": status}

    def _parse(self, data: bytes) -> packages.Package:
        try:
            return packages.parse(data)
        except packages.PackageError as error:
            if self._settings.defective("malformed_accepted"):
                steps = ({"name": "none", "uses": "core.log"},)
                return packages.Package(
                    packages.digest_of(data), "malformed", "0", "?", "audit-probe", None, None, steps
                )
            raise Refusal(error.code, str(error)) from None

    def _place(self, cursor: Any, package: packages.Package, replaces: str | None) -> str:
        """The workflow a version goes to: the one it replaces, which must keep its name, or a new one."""
        if replaces is None:
            added = store.add_workflow(cursor, package.tenant, self.tenants[package.tenant], package)
            if added is None:
                raise Refusal("already_exists", "the tenant has a workflow of this name; upload a new version of it")
            return added
        present = store.current(cursor, replaces) or _not_found()
        if present["name"] != package.name:
            raise Refusal("package_malformed", "a new version keeps the workflow's name")
        return replaces

    def _describe(self, workflow_id: str, tenant: str) -> dict[str, Any] | None:
        with self._of(tenant) as cursor:
            version = store.current(cursor, workflow_id)
            approval = store.approval(cursor, workflow_id)
        if version is None:
            return None
        kept = ("name", "version", "author", "declared_mode", "digest", "schedule", "uploaded_at")
        return {
            "id": workflow_id,
            "tenant": tenant,
            **{key: version[key] for key in kept},
            "mode": rules.effective_mode(self._settings, version, approval),
            "signature": {"key_id": version["signer"]} if version["signer"] else None,
            "approval": approval,
        }

    def _current(self, workflow_id: str, tenant: str) -> dict[str, Any]:
        with self._of(tenant) as cursor:
            return store.current(cursor, workflow_id) or _not_found()

    def _tenant(self, who: Identity, workflow_id: str) -> str:
        """The tenant of a workflow the caller may see.

        :raises Refusal: not_found, for one that is not there as for one that is another's.
        """
        with self._database.transaction() as cursor:
            tenant = store.tenant_of(cursor, workflow_id)
        if tenant is None or not who.may_see(tenant):
            _not_found()
        return str(tenant)

    def _of(self, tenant: str) -> Any:
        return self._database.transaction(self.tenants[tenant])

    def _record(
        self,
        cursor: Any,
        who: Identity,
        action: str,
        subject: str,
        outcome: str,
        tenant: str | None,
        request_id: str | None,
        **detail: Any,
    ) -> None:
        if action in ("package.upload", "package.replace") and self._settings.defective("skip_upload_audit"):
            return
        audit_log.append(
            cursor,
            actor=who.name,
            action=action,
            subject=subject,
            outcome=outcome,
            tenant=tenant,
            request_id=request_id,
            detail=detail,
            clock_ahead=timedelta(days=3 if self._settings.defective("clock_ahead") else 0),
        )
        self._on_event()

    def _record_refusal(
        self, who: Identity, action: str, subject: str, tenant: str | None, request_id: str | None, refusal: Refusal
    ) -> None:
        with self._database.transaction() as cursor:
            self._record(cursor, who, action, subject, "refused", tenant, request_id, code=refusal.code)

    @contextmanager
    def _refusals(
        self, who: Identity, action: str, subject: str, tenant: str | None, request_id: str | None
    ) -> Iterator[None]:
        try:
            yield
        except Refusal as refusal:
            self._record_refusal(who, action, subject, tenant, request_id, refusal)
            raise


def _not_found() -> Any:
    raise Refusal("not_found", "there is no such workflow")

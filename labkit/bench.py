"""The administrator's hand on a running lab: what a violation uses to plant its fault and to take it back.

Everything here holds the lab's own administrative credentials. The audit never sees this module: it gets the
least-privilege credentials of ``auditor.yml``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, MutableMapping
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import hvac
import psycopg2
import psycopg2.extras
import requests
import yaml
from botocore.config import Config

from labkit import control, seaweedfs
from labkit.errors import LabNotRunningError
from labkit.files import lab_folder, write_private
from labkit.images import Images
from labkit.lab import Lab

TIMEOUT_S = 10
S3_RELOAD_S = 0.5  # the server reads its identities in the background and tells nobody


class State(MutableMapping[str, Any]):
    """What a violation must remember between its planting and its removal: JSON values, saved at every change."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._values: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._values[key] = value
        self._save()

    def __delitem__(self, key: str) -> None:
        del self._values[key]
        self._save()

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def forget(self) -> None:
        """Drop everything, the file too: the violation is not planted."""
        self._values.clear()
        self._file.unlink(missing_ok=True)

    def _save(self) -> None:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(self._file, json.dumps(self._values, indent=1, sort_keys=True))


class Bench:
    """One running lab. ``violation`` names whose :attr:`state` this bench carries."""

    def __init__(self, folder: Path | None = None, violation: str = "bench") -> None:
        self.folder = lab_folder(folder)
        self.state = State(self.path("violations", f"{violation}.json"))

    def path(self, *parts: str) -> Path:
        """A path in the lab's folder: ``path("atom", "settings.yml")``."""
        return self.folder.joinpath(*parts)

    @cached_property
    def connections(self) -> dict[str, Any]:
        """Endpoints and administrative credentials: ``connections["postgres"]["admin_dsn"]``."""
        try:
            found: dict[str, Any] = json.loads(self.path("connections.json").read_text())
        except FileNotFoundError:
            raise LabNotRunningError(f"no lab is up in {self.folder}") from None
        return found

    @cached_property
    def auditor(self) -> dict[str, Any]:
        """What the auditor was handed, e.g. the paths of packages, keys and rules."""
        found: dict[str, Any] = yaml.safe_load(self.path("auditor.yml").read_text())
        return found

    def sql(self, statement: str, *params: Any, dbname: str = "atom") -> list[dict[str, Any]]:
        """Run one statement (or, without parameters, several) as superuser in autocommit; its rows as dicts."""
        connection = psycopg2.connect(
            self.connections["postgres"]["admin_dsn"],
            dbname=dbname,
            connect_timeout=TIMEOUT_S,
            cursor_factory=psycopg2.extras.RealDictCursor,
        )
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement, params or None)
                return [dict(row) for row in cursor.fetchall()] if cursor.description else []
        finally:
            connection.close()

    @cached_property
    def vault(self) -> hvac.Client:
        """An administrator's client."""
        vault = self.connections["vault"]
        session = requests.Session()
        session.trust_env = False  # REQUESTS_CA_BUNDLE would override the lab's own CA
        session.verify = vault["cacert"]
        return hvac.Client(
            url=vault["addr"], token=vault["root_token"], verify=vault["cacert"], timeout=TIMEOUT_S, session=session
        )

    @cached_property
    def s3(self) -> Any:
        """The administrator's S3 client."""
        s3 = self.connections["s3"]
        return boto3.client(
            "s3",
            endpoint_url=s3["endpoint"],
            aws_access_key_id=s3["access_key"],
            aws_secret_access_key=s3["secret_key"],
            region_name="us-east-1",
            config=Config(connect_timeout=TIMEOUT_S, read_timeout=TIMEOUT_S, s3={"addressing_style": "path"}),
        )

    def registry(self, method: str, path: str, *, token: str | None = None, **options: Any) -> requests.Response:
        """Ask the workflow registry, as its administrator unless ``token`` is another's."""
        registry = self.connections["registry"]
        return self._http(method, registry["url"] + path, token or registry["admin_token"], **options)

    def oci(self, method: str, path: str, **options: Any) -> requests.Response:
        """Ask the image registry: ``oci("GET", "/v2/atom/runner/tags/list")``."""
        return self._http(method, self.connections["image_registry"]["url"] + path, **options)

    @cached_property
    def images(self) -> Images:
        """Pushes, signs, retags and deletes in the image registry."""
        return Images(self.connections["image_registry"]["url"])

    def s3_policy(self, identity: str, policy: dict[str, Any] | None = None) -> None:
        """Give ``writer``, ``exporter`` or ``auditor`` this policy, in AWS's language; None: its proper one again."""
        lab = Lab(self.folder)
        seaweedfs.write_identities(lab, {**seaweedfs.POLICIES, identity: policy or seaweedfs.POLICIES[identity]})
        seaweedfs.reload_identities(lab)
        time.sleep(S3_RELOAD_S)

    def stop(self, server: str) -> None:
        """Stop one of the lab's servers, keeping its data."""
        control.stop(server, self.folder)

    def start(self, server: str) -> None:
        """Start it again, on its port with its data."""
        control.start(server, self.folder)

    def settings(self) -> dict[str, Any]:
        """The platform's settings as they are on disk now."""
        found: dict[str, Any] = yaml.safe_load(self.path("atom", "settings.yml").read_text())
        return found

    def defect(self, name: str, on: bool) -> None:
        """Switch a deliberate misbehaviour of the platform on or off; its services reload by themselves."""
        settings = self.settings()
        defects = [found for found in settings.get("defects") or [] if found != name]
        settings["defects"] = [*defects, name] if on else defects
        self._write_settings(settings)

    def setting(self, dotted_key: str, value: Any) -> Any:
        """Set ``registry.signature_mode`` and the like; gives back the value before (None: there was none)."""
        settings = self.settings()
        *folders, key = dotted_key.split(".")
        place = settings
        for folder in folders:
            place = place.setdefault(folder, {})
        before = place.get(key)
        if value is None:
            place.pop(key, None)
        else:
            place[key] = value
        self._write_settings(settings)
        return before

    def reload_prometheus(self) -> None:
        """Make Prometheus read its configuration and rules again; an unusable one raises."""
        self._http("POST", self.connections["prometheus"]["url"] + "/-/reload").raise_for_status()

    def reload_alertmanager(self) -> None:
        """Make Alertmanager read its configuration again; an unusable one raises."""
        self._http("POST", self.connections["alertmanager"]["url"] + "/-/reload").raise_for_status()

    def wait(self, about: str, until: Callable[[], bool], *, timeout_s: float = 15) -> None:
        """Wait till ``until()`` holds, or raise TimeoutError naming what it was ``about``."""
        deadline = time.monotonic() + timeout_s
        while not until():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{about}: not within {timeout_s:g} s")
            time.sleep(0.1)

    def _write_settings(self, settings: dict[str, Any]) -> None:
        write_private(self.path("atom", "settings.yml"), yaml.safe_dump(settings, sort_keys=False))

    def _http(self, method: str, url: str, token: str | None = None, **options: Any) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            session.verify = str(self.path("tls", "ca.pem"))
            if token:
                session.headers["Authorization"] = f"Bearer {token}"
            return session.request(method, url, **{"timeout": TIMEOUT_S, **options})

"""The parts of the lab, in an order in which each comes after what it needs: the one list everything loops over."""

from __future__ import annotations

from labkit.image_registry import ImageRegistry
from labkit.monitoring import Alertmanager, Prometheus
from labkit.openbao import OpenBao
from labkit.part import Part
from labkit.postgres import Postgres
from labkit.seaweedfs import SeaweedFS
from labkit.services import Admission, Backup, Exporter, FirstData, Pager, Registry

PARTS: dict[str, Part] = {
    part.name: part
    for part in (
        OpenBao(),
        SeaweedFS(),
        Postgres(),
        ImageRegistry(),
        FirstData(),
        Registry(),
        Admission(),
        Pager(),
        Backup(),
        Exporter(),
        Prometheus(),
        Alertmanager(),
    )
}


def server(name: str) -> Part:
    """The server of that name; ValueError lists those there are."""
    names = [part.name for part in PARTS.values() if part.is_server]
    if name not in names:
        raise ValueError(f"no server is called {name}; there are {', '.join(names)}")
    return PARTS[name]

"""The violation catalogue: faults that can be planted in a running lab, each of which one named check must report.

A module ``aNN.py`` beside this one holds the faults of policy ``ANN`` in a list ``VIOLATIONS``. Planting one makes its
``check`` (and those in ``also``, of the same policy) FAIL, and disturbs no other policy; removing it brings the lab
back to all PASS. Planting or removing twice is safe, also from another process: what a removal needs to know is kept
in ``bench.state``. Two violations that edit the same file must not be planted at once.
"""

from __future__ import annotations

import base64
import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit.bench import Bench, State
from labkit.files import write_private

Act = Callable[[Bench], None]
Find = Callable[[Bench], Path]
Edit = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Violation:
    """One fault: what it is about in a sentence, which check must find it, and how to plant and remove it."""

    id: str
    check: str
    about: str
    plant: Act
    remove: Act
    also: frozenset[str] = frozenset()


def catalogue() -> dict[str, Violation]:
    """Every violation by its id, in the order of the policies."""
    found: dict[str, Violation] = {}
    for number in range(1, 11):
        name = f"{__name__}.a{number:02}"
        if importlib.util.find_spec(name) is None:
            continue
        for violation in importlib.import_module(name).VIOLATIONS:
            if violation.id in found:
                raise ValueError(f"two violations are called {violation.id}")
            found[violation.id] = violation
    return found


def plant(violation: Violation, folder: Path | None = None) -> bool:
    """Plant it; False when it was planted already. One that failed half way is planted again from where it was."""
    bench = Bench(folder, violation.id)
    if bench.state.get("planted"):
        return False
    bench.state["planted"] = False  # from here on `remove` has something to take back
    violation.plant(bench)
    bench.state["planted"] = True
    return True


def remove(violation: Violation, folder: Path | None = None) -> bool:
    """Take it back; False when there was nothing to take back."""
    bench = Bench(folder, violation.id)
    if "planted" not in bench.state:
        return False
    violation.remove(bench)
    bench.state.forget()
    return True


def planted(folder: Path | None = None) -> list[str]:
    """The ids of the violations that are, wholly or half, in the lab now."""
    files = Bench(folder).path("violations").glob("*.json")
    return sorted(file.stem for file in files if "planted" in State(file))


def sql_violation(
    id: str,
    check: str,
    about: str,
    *,
    plant: str,
    remove: str,
    dbname: str = "atom",
    also: frozenset[str] = frozenset(),
) -> Violation:
    """A fault in the database. Args: plant, remove: statements, run as superuser in autocommit."""

    def run(statement: str) -> Act:
        return lambda bench: void(bench.sql(statement, dbname=dbname))

    return Violation(id, check, about, run(plant), run(remove), also)


def defect_violation(
    id: str,
    check: str,
    about: str,
    *,
    defect: str,
    also: frozenset[str] = frozenset(),
) -> Violation:
    """A misbehaviour of the platform's code, switched on by its name in ``settings.yml``."""
    return Violation(
        id,
        check,
        about,
        lambda bench: bench.defect(defect, on=True),
        lambda bench: bench.defect(defect, on=False),
        also,
    )


def setting_violation(
    id: str,
    check: str,
    about: str,
    *,
    key: str,
    value: Any,
    also: frozenset[str] = frozenset(),
) -> Violation:
    """A wrong value of one of the platform's settings (``key`` is dotted), restored afterwards."""

    def plant_it(bench: Bench) -> None:
        before = bench.setting(key, value)
        bench.state.setdefault("before", before)

    def remove_it(bench: Bench) -> None:
        if "before" in bench.state:
            bench.setting(key, bench.state["before"])

    return Violation(id, check, about, plant_it, remove_it, also)


def file_violation(
    id: str,
    check: str,
    about: str,
    *,
    file: Find,
    edit: Edit,
    then: Act | None = None,
    also: frozenset[str] = frozenset(),
) -> Violation:
    """A changed file: ``edit`` gets its bytes and gives the new ones; the original ones come back afterwards.

    ``file`` finds it (``lambda bench: bench.path("ci-repo", …)``), ``then`` tells a server about it, after both. A
    file that was not there is given to ``edit`` as ``b""`` and removed afterwards.
    """
    after = then or (lambda _bench: None)

    def plant_it(bench: Bench) -> None:
        path = file(bench)
        original = path.read_bytes() if path.exists() else None
        kept = bench.state.setdefault("original", None if original is None else base64.b64encode(original).decode())
        before = b"" if kept is None else base64.b64decode(kept)
        edited = edit(before)
        if edited == before:
            raise ValueError(f"{id}: the edit changed nothing in {path}")
        write_private(path, edited, mode=path.stat().st_mode & 0o7777 if path.exists() else 0o644)
        after(bench)

    def remove_it(bench: Bench) -> None:
        if "original" not in bench.state:
            return
        path, kept = file(bench), bench.state["original"]
        if kept is None:
            path.unlink(missing_ok=True)
        else:
            mode = path.stat().st_mode & 0o7777 if path.exists() else 0o644
            write_private(path, base64.b64decode(kept), mode=mode)
        after(bench)

    return Violation(id, check, about, plant_it, remove_it, also)


def void(_value: object) -> None:
    """Drop a result, in a lambda that must give None."""

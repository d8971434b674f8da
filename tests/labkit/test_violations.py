"""The violation mechanism without any server: what it remembers, and that twice is as good as once."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from labkit.bench import Bench, LabNotRunningError, State
from tests import violations
from tests.violations import Violation, defect_violation, file_violation, setting_violation


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "atom").mkdir()
    settings = {"signatures": {"mode": "enforce"}, "defects": []}
    (tmp_path / "atom" / "settings.yml").write_text(yaml.safe_dump(settings))
    (tmp_path / "ci.yml").write_bytes(b"needs: gate\n")
    return tmp_path


def settings(folder: Path) -> dict:
    return yaml.safe_load((folder / "atom" / "settings.yml").read_text())


def break_gate(content: bytes) -> bytes:
    return content.replace(b"needs: gate\n", b"")


GATE = file_violation("gate", "c.x", "…", file=lambda bench: bench.path("ci.yml"), edit=break_gate)
NEW_FILE = file_violation("new", "c.x", "…", file=lambda bench: bench.path("new.yml"), edit=lambda _old: b"x\n")
MODE = setting_violation("mode", "c.x", "…", key="signatures.mode", value="warn")
ADDED = setting_violation("added", "c.x", "…", key="safety.default_mode", value="auto")
DEFECT = defect_violation("defect", "c.x", "…", defect="accept_unsigned")


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("violation", [GATE, NEW_FILE, MODE, DEFECT], ids=lambda violation: violation.id)
def test_planted_and_removed_twice_leaves_everything_as_it_was(folder: Path, violation: Violation) -> None:
    Bench(folder).setting("signatures.mode", "enforce")  # so that the file is formatted as the bench writes it
    before = snapshot(folder)
    assert violations.plant(violation, folder)
    assert snapshot(folder) != before
    assert violations.planted(folder) == [violation.id]
    assert not violations.plant(violation, folder)
    assert violations.remove(violation, folder)
    assert not violations.remove(violation, folder)
    assert snapshot(folder) == before
    assert violations.planted(folder) == []


def test_a_setting_that_was_not_there_goes_again(folder: Path) -> None:
    violations.plant(ADDED, folder)
    assert settings(folder)["safety"] == {"default_mode": "auto"}
    violations.remove(ADDED, folder)
    assert "default_mode" not in settings(folder).get("safety", {})


def test_one_that_failed_half_way_can_be_removed(folder: Path) -> None:
    def half(bench: Bench) -> None:
        bench.state["step"] = 1
        bench.defect("accept_unsigned", on=True)
        raise RuntimeError("the second half did not work")

    broken = Violation("broken", "c.x", "…", half, DEFECT.remove)
    with pytest.raises(RuntimeError, match="second half"):
        violations.plant(broken, folder)
    assert violations.planted(folder) == ["broken"]
    assert violations.remove(broken, folder)
    assert settings(folder)["defects"] == []


def test_an_edit_that_changes_nothing_is_an_error(folder: Path) -> None:
    pointless = file_violation("same", "c.x", "…", file=lambda bench: bench.path("ci.yml"), edit=lambda old: old)
    with pytest.raises(ValueError, match="changed nothing"):
        violations.plant(pointless, folder)


def test_two_defects_do_not_take_each_other_back(folder: Path) -> None:
    other = defect_violation("other", "c.x", "…", defect="self_approval")
    violations.plant(DEFECT, folder)
    violations.plant(other, folder)
    violations.remove(DEFECT, folder)
    assert settings(folder)["defects"] == ["self_approval"]


def test_state_survives_into_another_process(tmp_path: Path) -> None:
    State(tmp_path / "v" / "x.json")["before"] = {"mode": "enforce"}
    again = State(tmp_path / "v" / "x.json")
    assert again["before"] == {"mode": "enforce"}
    again.forget()
    assert not (tmp_path / "v" / "x.json").exists()


def test_without_a_lab_the_bench_says_so(tmp_path: Path) -> None:
    with pytest.raises(LabNotRunningError, match="no lab is up"):
        _ = Bench(tmp_path).connections


def test_every_violation_of_the_catalogue_is_named_after_what_it_is() -> None:
    for name, violation in violations.catalogue().items():
        assert name == violation.id
        assert violation.check not in violation.also
        assert violation.about

"""Publishing: all files of a run or none, never outside the folder, never readable by others."""

from __future__ import annotations

import os
import stat

import pytest
from policy_audit.library.report_files import UnsafeNameError, prune, publish


def test_published_names_show_the_newest_run(tmp_path):
    publish(tmp_path / "lab", "run-1", {"a.md": "one", "b.md": "one"})
    paths = publish(tmp_path / "lab", "run-2", {"a.md": "two", "b.md": "two"})
    assert paths["a.md"] == str(tmp_path / "lab" / "a.md")
    assert {(tmp_path / "lab" / name).read_text() for name in ("a.md", "b.md")} == {"two"}
    assert (tmp_path / "lab" / ".runs" / "run-1" / "a.md").read_text() == "one"


def test_files_are_private(tmp_path):
    publish(tmp_path / "lab", "run-1", {"a.md": "one"})
    target = (tmp_path / "lab" / "a.md").resolve()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert stat.S_IMODE(target.parent.stat().st_mode) == 0o700


def test_a_failed_write_leaves_the_previous_report_whole(tmp_path, monkeypatch):
    publish(tmp_path, "run-1", {"a.md": "one", "b.md": "one"})
    monkeypatch.setattr(os, "fsync", raise_full_disk_at_second_call())
    with pytest.raises(OSError, match="No space"):
        publish(tmp_path, "run-2", {"a.md": "two", "b.md": "two"})
    assert {(tmp_path / name).read_text() for name in ("a.md", "b.md")} == {"one"}
    assert not (tmp_path / ".runs" / "run-2").exists()


def raise_full_disk_at_second_call():
    calls = []

    def fsync(_descriptor):
        calls.append(1)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")

    return fsync


def test_a_run_killed_before_the_switch_leaves_the_previous_report_whole(tmp_path, monkeypatch):
    publish(tmp_path, "run-1", {"a.md": "one"})
    monkeypatch.setattr("policy_audit.library.report_files._link", raise_killed)
    with pytest.raises(KeyboardInterrupt):
        publish(tmp_path, "run-2", {"a.md": "two"})
    assert (tmp_path / "a.md").read_text() == "one"


def raise_killed(*_args):
    raise KeyboardInterrupt


@pytest.mark.parametrize("name", ["../a.md", "/etc/passwd", ".hidden", "", "a/b", "a\n"])
def test_no_name_leads_out_of_the_folder(tmp_path, name):
    with pytest.raises(UnsafeNameError):
        publish(tmp_path / "lab", "run-1", {name: "x"})
    with pytest.raises(UnsafeNameError):
        publish(tmp_path / "lab", name, {"a.md": "x"})
    assert list(tmp_path.iterdir()) == []


def test_a_link_planted_at_a_published_name_is_replaced_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    directory = tmp_path / "lab"
    directory.mkdir()
    (directory / "a.md").symlink_to(victim)
    publish(directory, "run-1", {"a.md": "one"})
    assert victim.read_text() == "mine"
    assert (directory / "a.md").read_text() == "one"


def test_pruning_keeps_the_newest_and_the_current(tmp_path):
    for number in range(5):
        publish(tmp_path, f"run-{number}", {"a.md": str(number)})
    prune(tmp_path, keep=2)
    assert sorted(entry.name for entry in (tmp_path / ".runs").iterdir()) == ["run-3", "run-4"]
    assert (tmp_path / "a.md").read_text() == "4"

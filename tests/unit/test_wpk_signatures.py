"""The judges of packages, keys and the registry's word; and the folders that hold packages."""

from __future__ import annotations

from pathlib import Path

import pytest
from policy_audit.library import wpk_signatures
from policy_audit.module_utils.result import Status
from policy_audit.module_utils.unanswerable import Unanswerable


@pytest.mark.parametrize(
    ("faults", "status"),
    [
        ({"folder": {"a": None}, "registry": {"b": None}}, Status.PASS),
        ({"folder": {"a": None}, "registry": {"b": "not signed"}}, Status.FAIL),
        ({"folder": {}, "registry": {"b": None}}, Status.BLOCKED),
        ({"folder": {"a": None}, "registry": {}}, Status.BLOCKED),
        ({"folder": {}, "registry": {"b": "not signed"}}, Status.FAIL),
        ({"registry": {}}, Status.BLOCKED),
    ],
)
def test_every_source_holds_packages_and_all_are_signed(faults, status):
    assert wpk_signatures.judge_packages(faults, {"key"}).status is status


@pytest.mark.parametrize(
    ("trusted", "revoked", "live", "live_revoked", "faults", "status"),
    [
        ("ab", "r", "ab", "r", {}, Status.PASS),
        ("ab", "r", "", "r", {}, Status.FAIL),
        ("ab", "r", "a", "r", {}, Status.FAIL),
        ("ab", "r", "abc", "r", {}, Status.FAIL),
        ("ab", "r", "ab", "", {}, Status.FAIL),
        ("ab", "b", "ab", "b", {}, Status.FAIL),
        ("ab", "", "ab", "a", {}, Status.FAIL),
        ("ab", "r", "ab", "r", {"a": "RSA of 1024 bits"}, Status.FAIL),
        ("", "", "", "", {}, Status.BLOCKED),
    ],
)
def test_the_registry_trusts_exactly_whom_the_inventory_does(trusted, revoked, live, live_revoked, faults, status):
    assert wpk_signatures.judge_trust(trusted, revoked, live, live_revoked, faults).status is status


def test_the_mode_must_be_enforce():
    assert wpk_signatures.judge_enforcement({"signature_mode": "enforce"}).status is Status.PASS
    for mode in ("warn", "off", "Enforce", True):
        assert wpk_signatures.judge_enforcement({"signature_mode": mode}).status is Status.FAIL
    for said in ({}, [], None):
        with pytest.raises(Unanswerable):
            wpk_signatures.judge_enforcement(said)


def test_a_folder_gives_its_packages_and_refuses_links(tmp_path):
    folder, elsewhere = tmp_path / "packages", tmp_path / "elsewhere"
    (folder / "deep").mkdir(parents=True)
    elsewhere.mkdir()
    (folder / "deep" / "a.wpk.yaml").write_bytes(b"a")
    (folder / "deep" / "a.wpk.yaml.sig").write_bytes(b"s")
    (elsewhere / "b.wpk.yaml").write_bytes(b"b")
    (folder / "link.wpk.yaml").symlink_to(elsewhere / "b.wpk.yaml")
    (folder / "linked").symlink_to(elsewhere)
    found = {Path(one.name).name: one for one in wpk_signatures.in_folder(folder)}
    assert {name: one.fault for name, one in found.items()} == {
        "a.wpk.yaml": "", "link.wpk.yaml": "a symbolic link", "linked": "a symbolic link"}  # fmt: skip
    assert found["a.wpk.yaml"].signature == b"s"


def test_a_folder_that_cannot_be_read_is_unanswerable(tmp_path):
    with pytest.raises(Unanswerable, match="nowhere"):
        list(wpk_signatures.in_folder(tmp_path / "nowhere"))

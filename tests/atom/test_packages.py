"""A package is parsed strictly, or refused quickly."""

from __future__ import annotations

import time

import pytest
import yaml

from atom.packages import PackageError, parse
from atom.registry import executor


def document(**changes):
    return {
        "apiVersion": "atom/v1",
        "kind": "WorkflowPackage",
        "metadata": {"name": "n", "version": "1", "author": "a@b.example", "tenant": "acme"},
        "spec": {"steps": [{"name": "s", "uses": "core.log", "with": {"message": "hello"}}]},
    } | changes


def encoded(**changes):
    return yaml.safe_dump(document(**changes)).encode()


MERGES = "a0: &a0 {k: v}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join(['*a' + str(n - 1)] * 10)}]}}\n" for n in range(1, 9)
)
LAUGHS = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join(['*a' + str(n - 1)] * 9)}]\n" for n in range(1, 9))


def test_an_ordinary_package_is_taken():
    package = parse(encoded())
    assert (package.name, package.tenant, package.declared_mode) == ("n", "acme", None)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe\x00",
        b"- 1",
        MERGES.encode(),
        LAUGHS.encode(),
        encoded().replace(b"spec:", b"spec: &s\n  again: *s"),
        encoded() + b"kind: WorkflowPackage\n",
        encoded() + b"---\n" + encoded(),
        encoded().replace(b"name: n", b'name: "a\\0b"'),
        encoded().replace(b"hello", b'"\\ud800"'),
        encoded(kind="Other"),
        encoded(spec={"steps": []}),
        encoded(spec={"steps": [{"uses": "core.group", "steps": "x"}]}),
        b"a: !!python/object/apply:os.system [id]",
    ],
)
def test_anything_else_is_refused_quickly(data):
    started = time.monotonic()
    with pytest.raises(PackageError):
        parse(data)
    assert time.monotonic() - started < 2


def test_a_merge_is_taken_where_it_stays_small():
    steps = b"spec:\n  steps:\n  - &log {uses: core.log, with: {message: a}}\n  - {<<: *log, name: again}\n"
    package = parse(encoded(spec=None).replace(b"spec: null\n", steps))
    assert [step["uses"] for step in package.steps] == ["core.log", "core.log"]


def test_too_much_is_refused():
    with pytest.raises(PackageError) as refusal:
        parse(encoded() + b"#" * 2**20)
    assert refusal.value.code == "package_too_large"


@pytest.mark.parametrize(
    "step",
    [
        {"uses": "core.sleep", "with": {"seconds": "soon"}},
        {"uses": "core.sleep", "with": {"seconds": -1}},
        {"uses": "core.sleep", "with": {"seconds": float("nan")}},
        {"uses": "core.log", "with": [1]},
        {"uses": "core.set", "with": "text"},
    ],
)
def test_bad_parameters_fail_the_run_and_nothing_else(step):
    steps, reason = executor.execute(parse(encoded(spec={"steps": [step]})))
    assert reason == "bad_parameters"
    assert [one["status"] for one in steps] == ["failed"]

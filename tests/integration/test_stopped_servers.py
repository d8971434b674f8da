"""Each server stopped in turn: the policies that need it are BLOCKED and name it, the others pass, nothing else happens."""

from __future__ import annotations

import sys

import pytest

from tests.harness import POLICIES, audit, run

NEEDED_BY = {
    "openbao": ({"A02", "A09"}, "vault"),  # the export that is made again needs its credentials
    "postgres": ({"A01", "A03", "A04", "A05", "A06", "A07", "A08", "A09"}, "postgresql"),
    "seaweedfs": ({"A05", "A09"}, "s3"),
    "prometheus": ({"A08"}, "prometheus"),
    "alertmanager": ({"A08"}, "alertmanager"),
    "pager": ({"A08"}, "pager"),
    "image_registry": ({"A10"}, "image registry"),
    "admission": ({"A10"}, "admission"),
    "registry": ({"A01", "A03", "A04", "A05", "A08"}, "workflow registry"),
}
"""Server to the policies that cannot be tested without it, and the word by which their notes name it."""


@pytest.fixture
def stopped(lab, request):
    def labkit(action, *names):
        code, output = run(sys.executable, "-m", "labkit", action, *names, env={"ATOM_LAB_DIR": str(lab)})
        assert code == 0, output

    labkit("stop", request.param)
    yield request.param
    labkit("up")


@pytest.mark.parametrize("stopped", NEEDED_BY, indirect=True)
def test_a_stopped_server_blocks_what_needs_it(stopped, lab, tmp_path):
    needing, named = NEEDED_BY[stopped]
    outcome = audit("-i", "lab", lab=lab, reports=tmp_path)
    assert outcome.code == 2
    assert outcome.checks("FAIL") == {}
    assert {policy for policy, result in outcome.rows().items() if result == "BLOCKED"} == needing
    notes = {row["id"]: row["notes"].lower() for row in outcome.matrix()["policies"]}
    assert {policy for policy in needing if named in notes[policy]} == needing, notes
    assert set(outcome.rows()) == set(POLICIES)

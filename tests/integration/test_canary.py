"""No secret of the lab leaves the audit: not in what it prints at its most talkative, not in what it writes."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest

from tests.harness import audit


def secrets_of(lab):
    """Every secret the lab made for itself, by name."""
    return {
        name: value for name, value in json.loads((lab / "lab.json").read_text())["secrets"].items() if len(value) > 11
    }


def forms(secret):
    raw = secret.encode()
    return {
        secret,
        base64.b64encode(raw).decode().rstrip("="),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
        quote(secret, safe=""),
        json.dumps(secret)[1:-1],
        raw.hex(),
    }


def found_in(text, secrets):
    return {name for name, secret in secrets.items() if any(form in text for form in forms(secret))}


@pytest.fixture(scope="module")
def talkative(lab, tmp_path_factory):
    return audit("-i", "lab", "-vvvv", lab=lab, reports=tmp_path_factory.mktemp("reports"))


def test_the_search_finds_what_is_there(lab):
    secrets = secrets_of(lab)
    assert len(secrets) > 10
    assert found_in((lab / "connections.json").read_text() + (lab / "auditor.yml").read_text(), secrets)


def test_nothing_that_is_printed_holds_a_secret(talkative, lab):
    assert talkative.code == 0
    assert found_in(talkative.output, secrets_of(lab)) == set()


def test_nothing_that_is_written_holds_a_secret(talkative, lab):
    secrets = secrets_of(lab)
    files = [path for path in talkative.reports.rglob("*") if path.is_file()]
    assert len(files) > 20
    assert {
        str(path): found_in(path.read_text(), secrets) for path in files if found_in(path.read_text(), secrets)
    } == {}

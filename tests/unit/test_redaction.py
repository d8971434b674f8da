"""Nothing secret, nothing unbounded and nothing a terminal obeys leaves a module."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_audit.module_utils.redaction import MASK, MAX_ITEMS, MAX_TEXT, Redactor

SECRET = 'p"ss wörd/+?='


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        base64.b64encode(SECRET.encode()).decode(),
        base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("="),
        quote(SECRET, safe=""),
        json.dumps(SECRET)[1:-1],
        SECRET.encode().hex(),
    ],
)
def test_a_known_secret_goes_in_every_form(form):
    assert Redactor([SECRET]).text(f"before {form} after") == f"before {MASK} after"


@pytest.mark.parametrize(
    "text",
    [
        "token hvs.CAESIJ1a2b3c4d5e6f7g8h9i0jklmnop",
        "key AKIAIOSFODNN7EXAMPLE",
        "ghp_" + "a" * 36,
        "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
        "Authorization: Bearer abc123",
        "host=db user=a password=abc123",
        "postgresql://auditor:abc123@db:5432/atom",
    ],
)
def test_a_credential_goes_by_its_shape(text):
    cleaned = Redactor().text(text)
    assert MASK in cleaned
    for secret in ("CAESIJ1a2b3c", "IOSFODNN7", "a" * 36, "MHcCAQEE", "eyJzdWIi", "abc123"):
        assert secret not in cleaned


@pytest.mark.parametrize("text", ["http://127.0.0.1:8080/path", "billing.invoices", "sha256:" + "ab" * 32])
def test_facts_stay(text):
    assert Redactor().text(text) == text


def test_short_values_are_not_masked():
    assert Redactor(["admin"]).text("role admin") == "role admin"


def test_terminal_codes_are_disarmed():
    assert "\x1b" not in Redactor().text("\x1b[31mred\x07")


def test_size_is_bounded_in_every_direction():
    cleaned = Redactor().clean({"text": "x" * (MAX_TEXT + 5), "items": list(range(MAX_ITEMS + 3)), "deep": nest(50)})
    assert cleaned["text"].endswith("(5 more characters)")
    assert cleaned["items"][-1] == "… and 3 more"
    assert len(json.dumps(cleaned)) < 20_000


def nest(depth):
    return [nest(depth - 1)] if depth else []


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text() | st.binary(),
        lambda t: st.lists(t) | st.dictionaries(st.text(), t) | st.sets(st.text()),
    )
)
def test_anything_observed_becomes_json(value):
    json.dumps(Redactor(["secret-value"]).clean(value))


@given(st.text(), st.text())
def test_a_secret_never_survives(before, after):
    assert "s3cr3t-v4lue" not in Redactor(["s3cr3t-v4lue"]).text(f"{before}s3cr3t-v4lue{after}")

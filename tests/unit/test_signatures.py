"""Signatures: what verifies, and everything that looks like it and must not."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from policy_audit.module_utils import signatures
from policy_audit.module_utils.unanswerable import Unanswerable

DATA = b"kind: WorkflowPackage\n"


def pem(key):
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def ecdsa(curve, digest):
    key = ec.generate_private_key(curve)
    return key, key.sign(DATA, ec.ECDSA(digest))


def pkcs1(size):
    key = rsa.generate_private_key(65537, size)
    return key, key.sign(DATA, padding.PKCS1v15(), hashes.SHA256())


def edwards():
    key = ed25519.Ed25519PrivateKey.generate()
    return key, key.sign(DATA)


@pytest.mark.parametrize(
    ("key", "signature"),
    [
        ecdsa(ec.SECP256R1(), hashes.SHA256()),
        ecdsa(ec.SECP384R1(), hashes.SHA384()),
        ecdsa(ec.SECP384R1(), hashes.SHA256()),
        ecdsa(ec.SECP521R1(), hashes.SHA512()),
        edwards(),
        pkcs1(2048),
    ],
)
def test_each_kind_of_key_verifies_its_own_bytes_only(key, signature):
    public = key.public_key()
    assert signatures.verifies(public, signature, DATA)
    assert not signatures.verifies(public, signature, DATA + b"\n")
    assert not signatures.verifies(public, signature[:-1] + bytes([signature[-1] ^ 1]), DATA)
    assert not signatures.verifies(ec.generate_private_key(ec.SECP256R1()).public_key(), signature, DATA)
    assert signatures.weakness(public) is None


@pytest.mark.parametrize(("key", "signature"), [pkcs1(1024), ecdsa(ec.SECP224R1(), hashes.SHA256())])
def test_a_weak_key_verifies_nothing(key, signature):
    assert signatures.weakness(key.public_key())
    assert not signatures.verifies(key.public_key(), signature, DATA)


def test_a_key_id_is_the_digest_of_the_subject_public_key_info():
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    assert signatures.key_id(key) == hashlib.sha256(der).hexdigest()


@pytest.mark.parametrize(
    "content",
    [b"", b"no key", pem(ec.generate_private_key(ec.SECP256R1())) * 2,
     b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"],
)  # fmt: skip
def test_a_file_that_is_not_exactly_one_public_key_is_unanswerable(content, tmp_path):
    (tmp_path / "key.pub").write_bytes(content)
    with pytest.raises(Unanswerable, match=r"key\.pub"):
        signatures.load_public_key(str(tmp_path / "key.pub"))


def bundle(signature=b"s", **digest):
    message = {"signature": base64.b64encode(signature).decode()}
    if digest:
        message["messageDigest"] = digest
    return {"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "messageSignature": message}


def b64(value):
    return base64.b64encode(value).decode()


@pytest.mark.parametrize(
    "document",
    [
        {"base64Signature": b64(b"s"), "cert": "ignored"},
        bundle(),
        bundle(algorithm="SHA2_256", digest=b64(hashlib.sha256(DATA).digest())),
        bundle(algorithm="SHA2_384", digest=b64(hashlib.sha384(DATA).digest())),
    ],
)
def test_bundles_give_their_raw_signature(document):
    assert signatures.parse_signature(json.dumps(document).encode(), DATA) == b"s"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"not base64!",
        b"YQ",
        b"YQ==YQ==",
        b"{",
        b'{"a":' * 100_000,
        b"{}",
        b'{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "dsseEnvelope": {}}',
        json.dumps(bundle(algorithm="SHA2_256", digest=b64(hashlib.sha256(b"other").digest()))).encode(),
        json.dumps(bundle(algorithm="MD5", digest="YQ==")).encode(),
        json.dumps({**bundle(), "messageSignature": {"signature": "YQ==", "messageDigest": [1]}}).encode(),
    ],
)
def test_what_is_no_signature_says_so_and_nothing_else(text):
    with pytest.raises(signatures.SignatureFormatError):
        signatures.parse_signature(text, DATA)


def test_a_key_that_travels_with_the_signature_is_not_trusted():
    stranger, trusted = signatures.stranger(), signatures.stranger().public_key()
    own = {"base64Signature": signatures.sign(stranger, DATA), "publicKey": pem(stranger).decode()}
    raw = signatures.parse_signature(json.dumps(own).encode(), DATA)
    assert signatures.signer_of({signatures.key_id(trusted): trusted}, raw, DATA) is None

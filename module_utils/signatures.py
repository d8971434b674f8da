# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Signatures over exact bytes, as ``cosign sign-blob`` and Sigstore bundles carry them, verified with given keys alone.

A key is trusted because the inventory says so; a key that travels with a signature never is. Base64 is strict, a PEM file
holds one key, and anything that is not understood is an error, never a failed or a good signature.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from .unanswerable import Unanswerable

BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle"
SMALLEST_RSA = 2048
CURVES: dict[str, Callable[[], hashes.HashAlgorithm]] = {
    "secp256r1": hashes.SHA256,
    "secp384r1": hashes.SHA384,
    "secp521r1": hashes.SHA512,
}
"""The hash that goes with a curve. cosign has signed blobs with SHA-256 on each of them too: both are tried."""
DIGESTS = {"SHA2_256": hashlib.sha256, "SHA2_384": hashlib.sha384, "SHA2_512": hashlib.sha512}
"""``HashAlgorithm`` of sigstore_common.proto."""

PublicKey = Any
"""One of cryptography's public keys."""


class SignatureFormatError(ValueError):
    """A signature that is not one: the text says how."""


def load_public_key(path: str) -> PublicKey:
    """The one public key of a PEM file.

    :raises Unanswerable: if the file cannot be read, or does not hold exactly one public key.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise Unanswerable(f"a readable public key {path}: {error.strerror}") from None
    return read_public_key(data, path)


def read_public_key(data: bytes, origin: str) -> PublicKey:
    """The one public key of PEM data; ``origin`` says in a message where it came from.

    :raises Unanswerable: if it does not hold exactly one public key.
    """
    if data.count(b"-----BEGIN ") != 1 or b"-----BEGIN PUBLIC KEY-----" not in data:
        raise Unanswerable(f"exactly one PEM public key in {origin}")
    try:
        return serialization.load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        raise Unanswerable(f"a public key that can be read in {origin}") from None


def load_public_keys(paths: Iterable[str]) -> dict[str, PublicKey]:
    """Key id to key."""
    keys = [load_public_key(path) for path in paths]
    return {key_id(key): key for key in keys}


def key_id(key: PublicKey) -> str:
    """Hex SHA-256 of the key's DER SubjectPublicKeyInfo."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def weakness(key: PublicKey) -> str | None:
    """Why a key is too weak to trust, if it is: NIST SP 800-57, and what cosign and Sigstore use."""
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA of {key.key_size} bits" if key.key_size < SMALLEST_RSA else None
    if isinstance(key, ec.EllipticCurvePublicKey):
        return None if key.curve.name in CURVES else f"curve {key.curve.name}"
    return None if isinstance(key, ed25519.Ed25519PublicKey) else f"a {type(key).__name__}"


def verifies(key: PublicKey, signature: bytes, data: bytes) -> bool:
    """Whether a raw signature is this key's over exactly ``data``."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        own = CURVES.get(key.curve.name)
        algorithms: set[Callable[[], hashes.HashAlgorithm]] = {hashes.SHA256, own} if own else set()
        return any(_verifies_ecdsa(key, signature, data, algorithm()) for algorithm in algorithms)
    try:
        if isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(signature, data)
        elif isinstance(key, rsa.RSAPublicKey) and key.key_size >= SMALLEST_RSA:
            key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _verifies_ecdsa(
    key: ec.EllipticCurvePublicKey, signature: bytes, data: bytes, algorithm: hashes.HashAlgorithm
) -> bool:
    try:
        key.verify(signature, data, ec.ECDSA(algorithm))
    except InvalidSignature:
        return False
    return True


def signer_of(keys: Mapping[str, PublicKey], signature: bytes, data: bytes) -> str | None:
    """The id of the key that made a signature over exactly ``data``."""
    return next((known for known, key in keys.items() if verifies(key, signature, data)), None)


def parse_signature(text: bytes, data: bytes) -> bytes:
    """The raw signature of a detached ``.sig``, a cosign bundle, or a Sigstore bundle v0.3 over a message.

    :raises SignatureFormatError: for anything else, and for a bundle that was made for other bytes.
    """
    stripped = text.strip()
    if not stripped.startswith(b"{"):
        return decode(stripped)
    try:
        bundle = json.loads(stripped)
    except (ValueError, RecursionError):
        raise SignatureFormatError("the bundle is not JSON") from None
    if not isinstance(bundle, dict):
        raise SignatureFormatError("the bundle is not an object")
    if str(bundle.get("mediaType", "")).startswith(BUNDLE_TYPE):
        message = bundle.get("messageSignature")
        if not isinstance(message, dict):
            raise SignatureFormatError("the bundle holds no signature over a message")
        _check_digest(message.get("messageDigest"), data)
        return decode(str(message.get("signature", "")))
    if "base64Signature" in bundle:
        return decode(str(bundle["base64Signature"]))
    raise SignatureFormatError("neither a cosign bundle nor a Sigstore bundle")


def _check_digest(stated: Any, data: bytes) -> None:
    """The digest only identifies the bytes, and may be absent (sigstore_common.proto, MessageSignature); the signature
    is verified over the bytes themselves whatever it says. One that names other bytes tells of a mix-up.
    """
    if stated is None:
        return
    digest = DIGESTS.get(str(stated.get("algorithm"))) if isinstance(stated, dict) else None
    if digest is None:
        raise SignatureFormatError("the bundle's digest is of no known kind")
    if decode(str(stated.get("digest", ""))) != digest(data).digest():
        raise SignatureFormatError("the bundle was made for other bytes")


def decode(text: str | bytes) -> bytes:
    """Strict base64.

    :raises SignatureFormatError: if it is not, or is empty.
    """
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise SignatureFormatError("not base64") from None
    if not raw:
        raise SignatureFormatError("empty")
    return raw


def load_signer(path: str) -> ec.EllipticCurvePrivateKey:
    """The private key that the audit signs its own probe packages with.

    :raises Unanswerable: if it cannot be read, or is no ECDSA key.
    """
    try:
        key = serialization.load_pem_private_key(Path(path).read_bytes(), password=None)
    except OSError as error:
        raise Unanswerable(f"a readable private key {path}: {error.strerror}") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Unanswerable(f"an unencrypted PEM private key in {path}") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise Unanswerable(f"an ECDSA private key in {path}")
    return key


def stranger() -> ec.EllipticCurvePrivateKey:
    """A key nobody trusts, made now, and gone with this process."""
    return ec.generate_private_key(ec.SECP256R1())


def sign(key: ec.EllipticCurvePrivateKey, data: bytes) -> str:
    """A detached signature, as ``cosign sign-blob`` prints it."""
    return base64.b64encode(key.sign(data, ec.ECDSA(hashes.SHA256()))).decode()

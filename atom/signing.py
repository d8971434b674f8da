"""Signatures over bytes, as ``cosign sign-blob`` makes them: base64 of a raw signature over the file's exact bytes."""

from __future__ import annotations

import base64
import binascii
import hashlib
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa


def load_keys(folder: Path) -> dict[str, Any]:
    """Key id to public key, of every ``*.pub`` PEM file in a folder."""
    keys = [serialization.load_pem_public_key(path.read_bytes()) for path in sorted(folder.glob("*.pub"))]
    return {key_id(key): key for key in keys}


def key_id(key: Any) -> str:
    """Hex SHA-256 of the key's DER SubjectPublicKeyInfo."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def pem(key: Any) -> str:
    """The key as PEM text."""
    encoded: bytes = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return encoded.decode()


def verifies(key: Any, signature: str, data: bytes) -> bool:
    """Whether ``signature`` (base64) is this key's over exactly ``data``."""
    try:
        raw = base64.b64decode(signature.strip(), validate=True)
        if isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(raw, data, ec.ECDSA(hashes.SHA256()))
        elif isinstance(key, ed25519.Ed25519PublicKey):
            key.verify(raw, data)
        elif isinstance(key, rsa.RSAPublicKey):
            key.verify(raw, data, padding.PKCS1v15(), hashes.SHA256())
        else:
            return False
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def sign(key_file: Path, data: bytes) -> str:
    """The base64 signature by an unencrypted ECDSA P-256 private key in a PEM file."""
    key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{key_file}: packages are signed with an ECDSA key")
    return base64.b64encode(key.sign(data, ec.ECDSA(hashes.SHA256()))).decode()

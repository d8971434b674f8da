"""Keys and certificates: the lab's own authority for TLS, and the pairs that sign packages and images."""

from __future__ import annotations

import datetime as dt
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from labkit.files import write_private

VALID_DAYS = 90


def make_authority(folder: Path, hosts: tuple[str, ...]) -> None:
    """Write ``ca.pem``, and ``HOST.pem`` with ``HOST.key`` for each; the authority's own key is never stored."""
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = _name("ATOM lab authority")
    ca = (
        _builder(ca_name, ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(ca_key, hashes.SHA256())
    )
    write_private(folder / "ca.pem", ca.public_bytes(serialization.Encoding.PEM), mode=0o644)
    for host in hosts:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = (
            _builder(_name(host), ca_name, key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(
                x509.SubjectAlternativeName(
                    [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
                ),
                critical=False,
            )
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
            .sign(ca_key, hashes.SHA256())
        )
        write_private(folder / f"{host}.pem", certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)
        write_private(folder / f"{host}.key", private_pem(key))


def make_signing_key(folder: Path, name: str) -> None:
    """Write ``NAME.key`` and ``NAME.pub``, ECDSA P-256 as ``cosign generate-key-pair`` makes them."""
    key = ec.generate_private_key(ec.SECP256R1())
    write_private(folder / f"{name}.key", private_pem(key))
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    write_private(folder / f"{name}.pub", public, mode=0o644)


def sign(key_file: Path, data: bytes) -> bytes:
    """Sign as ``cosign sign-blob`` does: ECDSA over SHA-256, ASN.1."""
    key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{key_file} is no elliptic curve key")
    return key.sign(data, ec.ECDSA(hashes.SHA256()))


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """PKCS #8, unencrypted: the file's mode protects it."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )

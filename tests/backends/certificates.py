"""A certificate authority for tests, and the certificates that it signs."""

import ipaddress
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFE = timedelta(days=365)
LOOPBACK = ("localhost", "127.0.0.1")


class CertificateFiles:
    """The files of one certificate: `certificate`, `key`, and `both` in one."""

    def __init__(self, folder: Path, name: str) -> None:
        """Name the files in *folder*; `CertificateAuthority.issue` writes them."""
        self.certificate = folder / f"{name}.crt"
        self.key = folder / f"{name}.key"
        self.both = folder / f"{name}.pem"


class CertificateAuthority:
    """An authority with its own key. `file` is its certificate (PEM)."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        """Make the key and write the certificate to *folder*."""
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"govid test {name}")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(self._name)
            .issuer_name(self._name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - LIFE)
            .not_valid_after(now + LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=True,
                    key_cert_sign=True,
                    crl_sign=True,
                    content_commitment=False,
                    key_encipherment=False,
                    data_encipherment=False,
                    key_agreement=False,
                    encipher_only=False,
                    decipher_only=False,
                ),
                critical=True,
            )
            .sign(self._key, hashes.SHA256())
        )
        self.file = folder / f"{name}.crt"
        self.file.write_bytes(certificate.public_bytes(Encoding.PEM))

    def issue(
        self,
        name: str,
        hosts: Sequence[str] = LOOPBACK,
        *,
        ends_in: timedelta = LIFE,
        password: str | None = None,
    ) -> CertificateFiles:
        """Sign a certificate of *name* for *hosts*, and write its files; a second one replaces it.

        A *password* encrypts the key.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - LIFE)
            .not_valid_after(now + ends_in)
            .add_extension(x509.SubjectAlternativeName(map(_general_name, hosts)), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage(
                    [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
                ),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )
        encryption: KeySerializationEncryption = NoEncryption()
        if password is not None:
            encryption = BestAvailableEncryption(password.encode())
        files = CertificateFiles(self._folder, name)
        pem = certificate.public_bytes(Encoding.PEM)
        key_pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
        for file, content in (
            (files.certificate, pem), (files.key, key_pem), (files.both, key_pem + pem),
        ):  # fmt: skip
            # A reader sees the old file or the new one, never a part.
            draft = file.with_suffix(".draft")
            draft.write_bytes(content)
            draft.replace(file)
        files.key.chmod(0o600)
        return files


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)

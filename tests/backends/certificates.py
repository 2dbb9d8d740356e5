"""Certificates that a test issues itself, sound or with one thing wrong."""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)
LOOPBACK = ("localhost", "127.0.0.1")
_NO_PASSWORD = serialization.NoEncryption()


class IssuedCertificate(NamedTuple):
    """A certificate and its key, both in PEM format."""

    certificate: bytes
    key: bytes

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Write `<name>.crt` and `<name>.key` into *folder*; return their paths."""
        paths = folder / f"{name}.crt", folder / f"{name}.key"
        for path, text in zip(paths, self, strict=True):
            path.write_bytes(text)
            path.chmod(0o600)
        return paths


class CertificateAuthority:
    """An authority of the test's own."""

    def __init__(self, name: str) -> None:
        """Create the authority *name*, valid from yesterday until tomorrow."""
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _subject(name)
        certificate = (
            _builder(self._name, self._name, self._key, -1, 1)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.pem = certificate.public_bytes(serialization.Encoding.PEM)

    def issue(
        self,
        common_name: str,
        *names: str,
        from_day: int = -1,
        until_day: int = 1,
        password: bytes | None = None,
    ) -> IssuedCertificate:
        """Issue a certificate for *names*, which are host names or addresses.

        It is valid from *from_day* until *until_day*, counted from today. *password* encrypts the
        key.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_subject(common_name), self._name, key, from_day, until_day)
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False
            )
        certificate = builder.sign(self._key, hashes.SHA256())
        encryption = (
            _NO_PASSWORD if password is None else serialization.BestAvailableEncryption(password)
        )
        return IssuedCertificate(
            certificate.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
            ),
        )


class CertificateFiles:
    """The files of one certificate: `certificate`, `key`, and `both` in one."""

    def __init__(self, folder: Path, name: str, issued: IssuedCertificate) -> None:
        """Write *issued*. A reader of earlier files sees these or the new ones, never a part."""
        self.certificate = _replace(folder / f"{name}.crt", issued.certificate)
        self.key = _replace(folder / f"{name}.key", issued.key)
        self.both = _replace(folder / f"{name}.pem", issued.key + issued.certificate)


class CertificateFolder:
    """An authority and its certificates, in the files of a folder. `authority` is the first."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        """Create the authority *name*."""
        self._folder = folder
        self._issuer = CertificateAuthority(f"govid test {name}")
        self.authority = _replace(folder / f"{name}.crt", self._issuer.pem)

    def issue(
        self,
        name: str,
        *hosts: str,
        from_day: int = -1,
        until_day: int = 1,
        password: str | None = None,
    ) -> CertificateFiles:
        """Issue a certificate of *name* for *hosts*, or else for this machine."""
        issued = self._issuer.issue(
            name,
            *(hosts or LOOPBACK),
            from_day=from_day,
            until_day=until_day,
            password=None if password is None else password.encode(),
        )
        return CertificateFiles(self._folder, name, issued)


def _replace(file: Path, content: bytes) -> Path:
    draft = file.with_suffix(".draft")
    draft.write_bytes(content)
    draft.chmod(0o600)
    return draft.replace(file)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    from_day: int,
    until_day: int,
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + from_day * DAY)
        .not_valid_after(now + until_day * DAY)
    )


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)

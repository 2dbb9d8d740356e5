"""Explains why a TLS connection to PostgreSQL failed, and what to do about it.

The driver reads the files of the URL for each new connection, so a file that was replaced is used
without a restart. If one is broken, the driver's error does not name it; it is found here by
reading all of them again.
"""

import os
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
from cryptography import x509

from govid.bus.shared.tls_failures import describe_refused_certificate, is_key_of_another_pair
from govid.bus.storage.connection_url import SYSTEM_CERTIFICATES

_REPLACE = "; write a new file completely, then rename it"

_REFUSED = (
    "the server closed the connection during the TLS negotiation; it may not accept the "
    "certificate of sslcert: its authority has to be in ssl_ca_file of the server"
)


def describe_tls_failure(failure: BaseException, tls: Mapping[str, str]) -> str | None:
    """Return the reason of *failure*, None if it has nothing to do with TLS.

    *tls* are the TLS parameters of the URL.
    """
    if isinstance(failure, ssl.SSLCertVerificationError):
        return describe_refused_certificate(failure, "sslrootcert")
    if isinstance(failure, OSError) and (found := find_faulty_file(tls)):
        return found
    is_closed = isinstance(
        failure, (ssl.SSLError, ConnectionResetError, asyncpg.ConnectionDoesNotExistError)
    )
    certificate = _file_of(tls, "sslcert")
    if not is_closed or certificate is None:
        return None
    if _has_expired(certificate):
        return "the certificate of sslcert has expired; renew it"
    return _REFUSED


def find_faulty_file(tls: Mapping[str, str]) -> str | None:
    """Return a sentence about the first file of *tls* that cannot be used, None if all can."""
    for name in ("sslrootcert", "sslcrl"):
        path = _file_of(tls, name)
        if path is not None and (fault := _find_certificate_fault(name, path)):
            return fault
    certificate, key = _file_of(tls, "sslcert"), _file_of(tls, "sslkey")
    if certificate is None:
        return None
    if fault := _find_certificate_fault("sslcert", certificate):
        return fault
    try:
        _context().load_cert_chain(certificate, key, lambda: tls.get("sslpassword", ""))
    except ssl.SSLError as error:
        if is_key_of_another_pair(error):
            return "the key of sslkey does not belong to the certificate of sslcert"
        return (
            "the file of sslkey is not a private key in PEM format, is incomplete, or needs "
            f"another sslpassword{_REPLACE}"
        )
    except OSError:
        return "the file of sslkey cannot be read"
    return None


def _find_certificate_fault(name: str, path: str) -> str | None:
    try:
        _context().load_verify_locations(cafile=path)
    except ssl.SSLError:
        return f"the file of {name} is not in PEM format, or is incomplete{_REPLACE}"
    except OSError:
        return f"the file of {name} cannot be read"
    return None


def _context() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _file_of(tls: Mapping[str, str], name: str) -> str | None:
    """Return the file of parameter *name*, which may also be given by libpq's variable."""
    path = tls.get(name) or os.environ.get(f"PG{name.upper()}")
    return None if path == SYSTEM_CERTIFICATES else path


def _has_expired(path: str) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(Path(path).read_bytes())
    except (OSError, ValueError):
        return False
    return certificate.not_valid_after_utc < datetime.now(UTC)

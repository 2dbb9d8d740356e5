"""TLS to Kafka, with certificate files that may be replaced while govid runs."""

import logging
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from cryptography import x509

from govid.bus.kafka.errors import TlsFilesInvalid
from govid.bus.settings import KafkaSecurity
from govid.bus.shared.tls_failures import is_key_of_another_pair

log = logging.getLogger(__name__)

CA_SETTING = "GOVID_KAFKA_SSL_CA_FILE"
CERTIFICATE_SETTING = "GOVID_KAFKA_SSL_CERTIFICATE_FILE"
KEY_SETTING = "GOVID_KAFKA_SSL_KEY_FILE"
KEY_PASSWORD_SETTING = "GOVID_KAFKA_SSL_KEY_PASSWORD"  # noqa: S105 - a name
EXPIRY_WARNING_DAYS = 14
_BEGIN, _END = b"-----BEGIN ", b"-----END "

FileState = tuple[int, int, int] | None
"""Modification time (ns), size and inode of a file; None if it cannot be examined."""


def build_tls_context(security: KafkaSecurity) -> ssl.SSLContext:
    """Load the files of *security*; the context verifies the names and certificates of brokers.

    Without a CA file the authorities of the operating system are trusted, with one only its own: a
    server that answers in place of Kafka could block accounts.

    Raises:
        TlsFilesInvalid: a file is missing, unreadable or incomplete, or the key does not fit.
    """
    if security.ca_file is None:
        context = ssl.create_default_context()
    else:
        _read_pem(security.ca_file, CA_SETTING)
        try:
            context = ssl.create_default_context(cafile=security.ca_file)
        except ssl.SSLError:
            raise TlsFilesInvalid(f"the file of {CA_SETTING} holds no certificate") from None
    if security.certificate_file is not None:
        _load_client_certificate(context, security)
    return context


def _load_client_certificate(context: ssl.SSLContext, security: KafkaSecurity) -> None:
    assert security.certificate_file is not None  # noqa: S101 - the caller has checked it
    _read_pem(security.certificate_file, CERTIFICATE_SETTING)
    key_file, setting = security.key_file, KEY_SETTING
    if key_file is None:
        key_file, setting = security.certificate_file, CERTIFICATE_SETTING
    key = _read_pem(key_file, setting)
    if security.key_file is None and b"PRIVATE KEY-----" not in key:
        raise TlsFilesInvalid(f"the file of {CERTIFICATE_SETTING} has no key: set {KEY_SETTING}")
    try:
        password = security.key_password.read()
    except OSError:
        raise TlsFilesInvalid(f"the file of {KEY_PASSWORD_SETTING} cannot be read") from None
    try:
        context.load_cert_chain(security.certificate_file, key_file, lambda: password)
    except ssl.SSLError as error:
        if is_key_of_another_pair(error):
            reason = f"the key of {setting} does not fit the certificate of {CERTIFICATE_SETTING}"
        elif b"ENCRYPTED" in key:
            reason = f"{KEY_PASSWORD_SETTING} does not open the key of {setting}"
        else:
            reason = (
                f"the certificate of {CERTIFICATE_SETTING} or the key of {setting} is no usable PEM"
            )
        raise TlsFilesInvalid(reason) from None


def _read_pem(path: Path, setting: str) -> bytes:
    """Return the content of a PEM file, after checking that none of its blocks is cut off."""
    if path.exists() and not path.is_file():
        # A pipe would be waited for, without a limit.
        raise TlsFilesInvalid(f"the file of {setting} is no regular file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TlsFilesInvalid(f"the file of {setting} cannot be read ({error.strerror})") from None
    if not content.count(_BEGIN) or content.count(_BEGIN) != content.count(_END):
        raise TlsFilesInvalid(f"the file of {setting} is not a complete PEM file")
    return content


class ReloadingTlsContext(ssl.SSLContext):
    """A context that begins each connection with the files as they were last loaded.

    Clients keep one context for their whole life, and no authority can be removed from a context.
    So this one wraps each connection by another context, built from the files. If they cannot be
    used, for example while they are being replaced, the last usable ones stay in force.
    """

    def __new__(cls, _security: KafkaSecurity) -> Self:
        """Create the context; its own TLS settings are never used."""
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, security: KafkaSecurity) -> None:
        """Load the files of *security* at the first connection, and then by `load_files` only."""
        self._security = security
        self._loaded: ssl.SSLContext | None = None
        self._states: tuple[FileState, ...] | None = None
        self._problem: TlsFilesInvalid | None = None

    def wrap_bio(self, *arguments: Any, **options: Any) -> ssl.SSLObject:
        """Begin a connection.

        If no files could be loaded, no certificate is trusted, so that the connection fails. An
        error here would leave its socket open.
        """
        if self._loaded is None:
            self._load_if_changed()
        return self.current.wrap_bio(*arguments, **options)

    @property
    def current(self) -> ssl.SSLContext:
        """The context of the files as they were last loaded."""
        return self._loaded or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    def load_files(self) -> None:
        """Load the files if they have changed.

        Raises:
            TlsFilesInvalid: they cannot be used, and no earlier ones are loaded.
        """
        self._load_if_changed()
        if self._loaded is None and self._problem is not None:
            raise self._problem

    def _load_if_changed(self) -> None:
        states = tuple(map(_examine_file, self._security.tls_files))
        if self._loaded is not None and states == self._states:
            return
        try:
            loaded = build_tls_context(self._security)
        except TlsFilesInvalid as problem:
            if self._loaded is not None and str(problem) != str(self._problem):
                log.warning("kafka.certificates_not_loaded", extra={"reason": str(problem)})
            self._problem = problem
            return
        if self._loaded is not None:
            log.info("kafka.certificates_loaded")
        # If a file is replaced while it is read, its state differs at the next look.
        self._loaded, self._states, self._problem = loaded, states, None


def _examine_file(path: Path) -> FileState:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size, state.st_ino


def certificate_warnings(security: KafkaSecurity) -> list[str]:
    """Return warnings about a client certificate that has expired or soon will."""
    if security.certificate_file is None:
        return []
    try:
        certificate = x509.load_pem_x509_certificate(security.certificate_file.read_bytes())
    except (OSError, ValueError):
        return []  # `build_tls_context` reports the reason.
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    day = certificate.not_valid_after_utc.date().isoformat()
    if left.total_seconds() <= 0:
        return [f"the certificate of {CERTIFICATE_SETTING} expired on {day}"]
    if left.days < EXPIRY_WARNING_DAYS:
        return [f"the certificate of {CERTIFICATE_SETTING} expires on {day}"]
    return []

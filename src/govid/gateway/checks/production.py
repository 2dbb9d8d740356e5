"""Production checks: finds all settings and states that prevent `govid serve` from starting.

`govid serve` and `govid check` print the same list; `govid dev` starts in spite of it.
"""

import os
from collections.abc import Collection, Iterator
from pathlib import Path

import asyncpg

from govid.bus.events import Topic
from govid.bus.settings import KafkaSecurity
from govid.bus.storage.connection import (
    InvalidConnectionUrl,
)
from govid.bus.storage.connection_failures import describe_connection_error
from govid.bus.storage.errors import DRIVER_ERRORS
from govid.bus.storage.schema_check import describe_schema, schema_differences
from govid.gateway.checks.accounts import account_problems, audit_key_problems
from govid.gateway.checks.connections import build_check_factory
from govid.gateway.checks.database import (
    audit_retention_warnings,
    database_problems,
    database_warnings,
    detect_pool_mode,
    foreign_topic_warnings,
    retention_warnings,
)
from govid.gateway.checks.database_hosts import HostState, host_warnings, primary_problems
from govid.gateway.checks.settings import transport_warnings, unsafe_settings
from govid.gateway.dev.state import StateFolder
from govid.gateway.http import hosts
from govid.gateway.schema_version import read_version
from govid.gateway.settings import Settings

SHARED_SESSIONS = (
    "GOVID_DATABASE_URL leads to a pooler in {} mode: sessions lose their settings and locks; set "
    "pool_mode = session for govid's database"
)
TOKEN_SECONDS = 15 * 60

_HAS_SYSTEM_USER = 160_000


def blocking_problems(settings: Settings) -> list[str]:
    """Return the problems of *settings* that block a start, without a network call."""
    return [
        *_backend_settings(settings),
        *unsafe_settings(settings),
        *_mail_and_hosts(settings),
        *_department_settings(settings),
    ]


async def backend_problems(settings: Settings, hosts: Collection[HostState]) -> list[str]:
    """Return the problems of the database, and of its *hosts*, that block a start."""
    if not settings.bus.database_url:
        return []
    try:
        factory = build_check_factory(settings.bus.database_url)
        if (mode := await detect_pool_mode(factory)) is not None:
            return [SHARED_SESSIONS.format(mode)]
        connection = await factory.connect()
    except InvalidConnectionUrl as error:
        return [f"GOVID_DATABASE_URL: {one}" for one in error.problems]
    except DRIVER_ERRORS as error:
        return [describe_connection_error(error)]
    try:
        problems = await _server_problems(connection, settings)
    finally:
        await connection.close()
    return [*primary_problems(hosts), *problems]


async def _server_problems(connection: asyncpg.Connection, settings: Settings) -> list[str]:
    """Run all checks of a server that accepts govid's connection, whatever the first ones find."""
    schema = await _schema_problems(connection)
    return [
        *await _trust_authentication(connection),
        *schema,
        *await account_problems(connection, settings),
        *await audit_key_problems(connection, settings),
        *await database_problems(
            connection, allow_unsafe=settings.allow_unsafe_database, schema_fits=not schema
        ),
    ]


async def backend_warnings(settings: Settings, hosts: Collection[HostState]) -> list[str]:
    """Return warnings about the database and its *hosts*; none if it is unavailable."""
    if not settings.bus.database_url:
        return []
    try:
        factory = build_check_factory(settings.bus.database_url)
        connection = await factory.connect()
        try:
            topics = [settings.bus.wire_name(topic) for topic in Topic]
            return [
                *await database_warnings(connection, allow_unsafe=settings.allow_unsafe_database),
                *await foreign_topic_warnings(connection, topics),
                *await retention_warnings(connection, settings.bus.row_retention_days),
                *await audit_retention_warnings(connection, settings.bus.audit),
                *host_warnings(hosts),
            ]
        finally:
            await connection.close()
    except (*DRIVER_ERRORS, InvalidConnectionUrl):
        return []


def warnings(settings: Settings) -> list[str]:
    """Return warnings about *settings* that are allowed in production."""
    found = [
        *settings.notices,
        *transport_warnings(settings),
        *_missing_departments(settings),
        *_kafka_identity(settings.bus.kafka_security),
        *_checkpoint_file(settings.bus.audit.checkpoint_file),
    ]
    if settings.nhs.registry == "remote" and not settings.nhs.takes_bookings:
        found.append("No practices take bookings: appointments are answered with 503")
    if settings.identity.access_token_seconds > TOKEN_SECONDS:
        found.append(
            "access tokens live longer than 15 minutes (GOVID_ACCESS_TOKEN_EXPIRE_MINUTES)"
        )
    if not settings.identity.password_checks:
        found.append("GOVID_PASSWORD_CHECKS is off: passwords that are easy to guess are accepted")
    if settings.identity.mail.folder is None and settings.identity.mail.smtp is None:
        found.append("GOVID_MAIL is off: forgotten passwords and email addresses cannot be changed")
    if settings.identity.mail.smtp is not None:
        found.append(
            "links in emails lead to /reset and /account/confirm, pages that govid does not serve: "
            "a front end has to serve them"
        )
    if settings.is_set("GOVID_REVOCATION_CHECK"):
        found.append("GOVID_REVOCATION_CHECK is no longer needed: delete it")
    if settings.management_port is None and not settings.metrics_token:
        found.append(
            "nothing can scrape /metrics: set GOVID_MANAGEMENT_PORT, or GOVID_METRICS_TOKEN"
        )
    if settings.bus.row_retention_days > settings.bus.retention_days:
        found.append("events outlive GOVID_RETENTION_DAYS, because Kafka keeps its records longer")
    return found


def _missing_departments(settings: Settings) -> Iterator[str]:
    """Yield a warning for each department that is off or simulated."""
    for name, mode in _department_modes(settings):
        if mode == "off":
            yield f"{name} is off: verifications wait until it is available"
        elif mode == "simulator" and settings.allow_simulators:
            yield f"{name} is simulated: verifications are not real"
    if settings.hmrc.tax_records == "off":
        yield "GOVID_TAX_RECORDS is off: tax records of HMRC are not available"
    elif settings.hmrc.tax_records == "simulator" and settings.allow_simulators:
        yield "GOVID_TAX_RECORDS is simulated: the tax records shown are not real"


def _kafka_identity(security: KafkaSecurity) -> Iterator[str]:
    """Yield warnings about how govid authenticates at Kafka."""
    if security.protocol == "SSL" and security.certificate_file is None:
        yield (
            "Kafka does not know who govid is, so every client may write to its topics: "
            "GOVID_KAFKA_SECURITY_PROTOCOL is SSL, without GOVID_KAFKA_SSL_CERTIFICATE_FILE"
        )
    if security.certificate_file is not None:
        # Loading certificates takes a moment, and most commands need none of it (I13).
        from govid.bus.kafka.tls import certificate_warnings  # noqa: PLC0415

        yield from certificate_warnings(security)


def _checkpoint_file(file: Path | None) -> Iterator[str]:
    """Yield a warning if checkpoints of the audit log could not be written to *file*, or read."""
    if file is None:
        return
    # The file is replaced, so the folder needs the privilege to write.
    if not os.access(file.parent, os.W_OK | os.X_OK):
        yield (
            "GOVID_AUDIT_CHECKPOINT_FILE is in a folder that is missing or cannot be written: no "
            "checkpoint is kept outside the database"
        )
    elif os.access(file, os.F_OK) and not (file.is_file() and os.access(file, os.R_OK)):
        yield (
            "GOVID_AUDIT_CHECKPOINT_FILE is no regular file that can be read: no checkpoint is "
            "kept outside the database"
        )


def _backend_settings(settings: Settings) -> Iterator[str]:
    running = StateFolder(settings.data_dir).find_running_server()
    if not settings.bus.database_url:
        yield "GOVID_DATABASE_URL is not set"
    elif running is not None and running.database_url == settings.bus.database_url:
        yield "GOVID_DATABASE_URL is the embedded database of `govid dev`"
    servers = settings.bus.kafka_bootstrap_servers
    if not servers:
        yield "GOVID_KAFKA_BOOTSTRAP_SERVERS is not set"
        return
    in_memory = running is not None and running.kafka_in_memory
    if settings.bus.kafka_generation or (
        running is not None and in_memory and running.kafka_bootstrap_servers == servers
    ):
        yield "GOVID_KAFKA_BOOTSTRAP_SERVERS is the in-memory broker of `govid dev`"
    security = settings.bus.kafka_security
    if not security.is_encrypted and not settings.kafka_allow_plaintext:
        yield (
            "Kafka is reached without encryption: set GOVID_KAFKA_SECURITY_PROTOCOL, or, if its "
            "network is protected otherwise, GOVID_KAFKA_ALLOW_PLAINTEXT=true"
        )
    if security.uses_tokens and not (security.oauth_token_url or "").startswith("https://"):
        yield "GOVID_KAFKA_OAUTH_TOKEN_URL is not an https address"


def _mail_and_hosts(settings: Settings) -> Iterator[str]:
    if settings.identity.mail.folder is not None:
        yield "GOVID_MAIL is a folder: no email would be sent"
    smtp = settings.identity.mail.smtp
    if smtp is not None and smtp.tls == "none":
        yield "GOVID_SMTP_TLS is none: links that set passwords would be sent unencrypted"
    if not settings.allowed_hosts:
        yield "GOVID_ALLOWED_HOSTS is not set"
    elif hosts.ANY_HOST in settings.allowed_hosts:
        yield "GOVID_ALLOWED_HOSTS allows any host"


def _department_settings(settings: Settings) -> Iterator[str]:
    """Check the clients of departments, unless simulators are allowed."""
    if settings.allow_simulators:
        return
    for name, mode in (
        *_department_modes(settings),
        ("GOVID_TAX_RECORDS", settings.hmrc.tax_records),
    ):
        if mode == "simulator":
            yield f"{name} is a simulator; to allow it, set GOVID_ALLOW_SIMULATORS=true"
    for name, address in _addresses(settings):
        if not address.startswith("https://"):
            yield f"{name} is not an https address"
    if settings.nhs.are_limits_lifted:
        yield "GOVID_DEPARTMENT_LIMITS is false: the departments would reject requests"


def _addresses(settings: Settings) -> Iterator[tuple[str, str]]:
    """Yield settings that name an address for secrets or personal data, with their values."""
    nhs, hmrc = settings.nhs, settings.hmrc
    if nhs.registry == "remote":
        yield "GOVID_NHS_BASE_URL", nhs.base_url
    if "remote" in {hmrc.registry, hmrc.tax_records}:
        yield "GOVID_HMRC_BASE_URL", hmrc.base_url
    if hmrc.tax_records == "remote":
        yield "GOVID_HMRC_CONSENT_URL", hmrc.consent_url
        yield "GOVID_HMRC_REDIRECT_URI", hmrc.redirect_uri


def _department_modes(settings: Settings) -> tuple[tuple[str, str], ...]:
    return (
        ("GOVID_PATIENT_REGISTRY", settings.nhs.registry),
        ("GOVID_NINO_VERIFIER", settings.hmrc.registry),
    )


async def _trust_authentication(connection: asyncpg.Connection) -> list[str]:
    """Return a problem if the database requires no password; PostgreSQL 15 does not tell."""
    version = connection.get_server_version()
    if version.major * 10_000 < _HAS_SYSTEM_USER:
        return []
    is_authenticated = await connection.fetchval("SELECT system_user IS NOT NULL")
    return [] if is_authenticated else ["the database requires no password (trust authentication)"]


async def _schema_problems(connection: asyncpg.Connection) -> list[str]:
    try:
        fault = (await read_version(connection)).explain_mismatch()
    except asyncpg.InsufficientPrivilegeError:
        # `database_problems` reports the missing privilege.
        return []
    if fault is not None:
        return [fault]
    drift = schema_differences(await describe_schema(connection))
    return [f"schema bus differs from the migrations; {line}" for line in drift]

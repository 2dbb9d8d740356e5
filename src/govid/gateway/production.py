"""What keeps govid from serving in production. Everything is told at once.

`govid serve` and `govid check` print the same list; `govid dev` runs with all of it.
"""

from collections.abc import Iterator

import asyncpg

from govid.bus.contracts import Topic
from govid.bus.schema import describe, differences
from govid.bus.storage.connection import (
    ConnectionFactory,
    DatabaseUnreachable,
    InvalidConnectionUrl,
    SessionRefused,
)
from govid.bus.storage.errors import DRIVER_ERRORS
from govid.gateway import hosts
from govid.gateway.account_checks import account_faults
from govid.gateway.database_checks import (
    database_faults,
    database_warnings,
    describe_refusal,
    find_pool_mode,
    topic_warnings,
)
from govid.gateway.devserver.state import StateFolder
from govid.gateway.schema_version import read_version
from govid.gateway.setting_checks import unsafe_settings
from govid.gateway.settings import Settings

SHARED_SESSIONS = (
    "GOVID_DATABASE_URL leads to a pooler in {} mode: sessions lose their settings and locks; set "
    "pool_mode = session for govid's database"
)
TOKEN_SECONDS = 15 * 60

_HAS_SYSTEM_USER = 160_000


def faults(settings: Settings) -> list[str]:
    """Return what is wrong with *settings*, without asking anybody."""
    return [
        *_backends(settings),
        *unsafe_settings(settings),
        *_surroundings(settings),
        *_departments(settings),
    ]


async def backend_faults(settings: Settings) -> list[str]:
    """Return what is wrong with the database."""
    if not settings.bus.database_url:
        return []
    try:
        factory = ConnectionFactory(settings.bus.database_url, application="govid check")
        if (mode := await find_pool_mode(factory)) is not None:
            return [SHARED_SESSIONS.format(mode)]
        connection = await factory.open()
    except InvalidConnectionUrl as error:
        return [f"GOVID_DATABASE_URL: {one}" for one in error.faults]
    except (DatabaseUnreachable, SessionRefused) as error:
        return [str(error)]
    except DRIVER_ERRORS as error:
        return [describe_refusal(error)]
    try:
        return await _server_faults(connection, settings)
    finally:
        await connection.close()


async def _server_faults(connection: asyncpg.Connection, settings: Settings) -> list[str]:
    """Ask a server that lets govid in about everything, whatever it has answered before."""
    schema = await _schema_faults(connection)
    return [
        *await _trust(connection),
        *schema,
        *await account_faults(connection, settings),
        *await database_faults(
            connection, allow_unsafe=settings.allow_unsafe_database, schema_fits=not schema
        ),
    ]


async def backend_warnings(settings: Settings) -> list[str]:
    """Return what is allowed of the database and should be known; nothing if it is away."""
    if not settings.bus.database_url:
        return []
    try:
        factory = ConnectionFactory(settings.bus.database_url, application="govid check")
        connection = await factory.open()
        try:
            topics = [settings.bus.wire_name(topic) for topic in Topic]
            return [
                *await database_warnings(connection, allow_unsafe=settings.allow_unsafe_database),
                *await topic_warnings(connection, topics),
            ]
        finally:
            await connection.close()
    except (*DRIVER_ERRORS, InvalidConnectionUrl):
        return []


def warnings(settings: Settings) -> list[str]:
    """Return what is allowed in production and had better be known."""
    found = [*settings.notices, *_stand_ins(settings)]
    if settings.nhs.registry == "remote" and not settings.nhs.takes_bookings:
        found.append("No practices take bookings: appointments are answered with 503")
    if settings.identity.access_token_seconds > TOKEN_SECONDS:
        found.append(
            "access tokens live longer than 15 minutes (GOVID_ACCESS_TOKEN_EXPIRE_MINUTES)"
        )
    if not settings.identity.password_checks:
        found.append("GOVID_PASSWORD_CHECKS is off: passwords that are easy to guess are taken")
    if settings.identity.mail.folder is None and settings.identity.mail.smtp is None:
        found.append("GOVID_MAIL is off: nobody can set a forgotten password or change an address")
    if settings.identity.mail.smtp is not None:
        found.append(
            "links in mails lead to /reset and /account/confirm, pages that govid does not have: "
            "a front end has to serve them"
        )
    if settings.is_set("GOVID_REVOCATION_CHECK"):
        found.append("GOVID_REVOCATION_CHECK is no longer needed: delete it")
    if settings.management_port is None and not settings.metrics_token:
        found.append(
            "nothing can scrape /metrics: set GOVID_MANAGEMENT_PORT, or GOVID_METRICS_TOKEN"
        )
    if settings.bus.kept_days > settings.bus.retention_days:
        found.append("events are kept as long as Kafka keeps its records, which is longer")
    return found


def _stand_ins(settings: Settings) -> Iterator[str]:
    """Tell where no department is asked, or none that is real."""
    for name, port in _ports(settings):
        if port == "off":
            yield f"{name} is off: verifications wait until it is there"
        elif port == "simulator" and settings.allow_simulators:
            yield f"{name} is simulated: nobody is really verified"
    if settings.hmrc.tax_records == "off":
        yield "GOVID_TAX_RECORDS is off: nobody can see what HMRC has"
    elif settings.hmrc.tax_records == "simulator" and settings.allow_simulators:
        yield "GOVID_TAX_RECORDS is simulated: what people see is made up"


def _backends(settings: Settings) -> Iterator[str]:
    running = StateFolder(settings.data_dir).running()
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
    if not settings.kafka_allow_plaintext:
        yield (
            "Kafka is reached without encryption; if its network is protected otherwise, "
            "set GOVID_KAFKA_ALLOW_PLAINTEXT=true"
        )


def _surroundings(settings: Settings) -> Iterator[str]:
    if settings.identity.mail.folder is not None:
        yield "GOVID_MAIL is a folder, which nobody reads"
    smtp = settings.identity.mail.smtp
    if smtp is not None and smtp.tls == "none":
        yield "GOVID_SMTP_TLS is none: links that set passwords would travel unencrypted"
    if not settings.allowed_hosts:
        yield "GOVID_ALLOWED_HOSTS is not set"
    elif hosts.ANY in settings.allowed_hosts:
        yield "GOVID_ALLOWED_HOSTS allows any host"


def _departments(settings: Settings) -> Iterator[str]:
    """Judge what stands at the ports; with simulators allowed, this is a rehearsal."""
    if settings.allow_simulators:
        return
    for name, port in (*_ports(settings), ("GOVID_TAX_RECORDS", settings.hmrc.tax_records)):
        if port == "simulator":
            yield f"{name} is a simulator; to allow it, set GOVID_ALLOW_SIMULATORS=true"
    for name, address in _addresses(settings):
        if not address.startswith("https://"):
            yield f"{name} is not an https address"
    if settings.nhs.are_limits_lifted:
        yield "GOVID_DEPARTMENT_LIMITS is false: the departments would turn govid away"


def _addresses(settings: Settings) -> Iterator[tuple[str, str]]:
    """Return where secrets and personal data go to, or come back from, by their settings' names."""
    nhs, hmrc = settings.nhs, settings.hmrc
    if nhs.registry == "remote":
        yield "GOVID_NHS_BASE_URL", nhs.base_url
    if "remote" in {hmrc.registry, hmrc.tax_records}:
        yield "GOVID_HMRC_BASE_URL", hmrc.base_url
    if hmrc.tax_records == "remote":
        yield "GOVID_HMRC_CONSENT_URL", hmrc.consent_url
        yield "GOVID_HMRC_REDIRECT_URI", hmrc.redirect_uri


def _ports(settings: Settings) -> tuple[tuple[str, str], ...]:
    return (
        ("GOVID_PATIENT_REGISTRY", settings.nhs.registry),
        ("GOVID_NINO_VERIFIER", settings.hmrc.registry),
    )


async def _trust(connection: asyncpg.Connection) -> list[str]:
    """Tell whether the database let us in without any proof; PostgreSQL says so from 16 on."""
    version = connection.get_server_version()
    if version.major * 10_000 < _HAS_SYSTEM_USER:
        return []
    proven = await connection.fetchval("SELECT system_user IS NOT NULL")
    return [] if proven else ["the database lets anybody in (trust authentication)"]


async def _schema_faults(connection: asyncpg.Connection) -> list[str]:
    try:
        fault = (await read_version(connection)).fault()
    except asyncpg.InsufficientPrivilegeError:
        # `database_faults` names the right that is missing.
        return []
    if fault is not None:
        return [fault]
    drift = differences(await describe(connection))
    return [f"schema bus is not what the migrations made; {line}" for line in drift]

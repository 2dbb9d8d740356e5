"""`govid check` and `govid serve` say the same sentence about the same input, each as a process."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import asyncpg
import pytest
from confluent_kafka.admin import AdminClient, NewPartitions

from govid.bus import BusSettings, Database
from govid.bus.events import Topic
from govid.bus.kafka.clients import KafkaClientFactory
from govid.bus.kafka.topic_reader import open_reader
from govid.bus.kafka.topics import required_topics
from govid.bus.shared.ids import uuid7_timestamp
from govid.gateway.checks.kafka import durability_warnings
from govid.gateway.migrations import upgrade
from govid.gateway.schema_version import head_revision
from govid.gateway.settings import load_from_environment
from govid.identity.repository.key_checks import configured_keys, record_keys
from tests.backends import kafka, kafka_jars
from tests.backends.debian_postgres import DebianServer, debian_server, pgbouncer
from tests.backends.forked_commands import run, started
from tests.backends.govid import BASE
from tests.conftest import unavailable
from tests.kafka.fixtures import KafkaFixture, wait_until
from tests.kafka.test_kafka_ahead import forget
from tests.kafka.test_kafka_checks import unclean
from tests.kafka.test_unreadable_batches import (
    RECORDS,
    Damage,
    a_notice,
    create,
    edit,
    flip,
    of_codec,
    produce,
)
from tests.kafka.test_verify_kafka import administer, has_partitions, is_gone, place_of, publish
from tests.servers.test_privileges import EVERYTHING_BUT_OWNERSHIP

pytestmark = [pytest.mark.slow, pytest.mark.kafka, pytest.mark.timeout(180)]

NO_KAFKA = "127.0.0.1:1"
SERVE_SECONDS = 90
DATABASE = "govid"
OWNER = "keeper"
ROLE = "service"
STRANGER = "stranger"
OTHER_KEY = "j2v8QzWmT0rXkCyN5aPbLdEuHs7gF1iOqR4tY9w"


class ServerPlace(NamedTuple):
    """The servers that all inputs share."""

    server: DebianServer
    kafka: str

    def url(self, user: str = OWNER, database: str = DATABASE) -> str:
        return self.server.url(database, user)


class Given(NamedTuple):
    """What an input adds to the settings, and what its sentence tells of it."""

    settings: Mapping[str, str]
    facts: Mapping[str, object] = {}


class Verdict(NamedTuple):
    """How the two commands begin the line of a sentence, and how they end."""

    check: str
    check_code: int
    serve: str
    serve_code: int
    serve_end: str = ""


Input = Callable[[ServerPlace], AbstractContextManager[Given]]

FAULT = Verdict("fault: ", 5, "  - ", 3)
AWAY = Verdict("fault: ", 5, "govid: ", 4, ".")
"""No rule refuses it: the database refuses the connection, which may change."""
WARNING = Verdict("warning: ", 0, "warning: ", 0)
UNREADABLE = Verdict("  - ", 2, "  - ", 2)
RELAY = Verdict("fault: ", 5, "warning: ", 0)
"""It keeps a server from publishing, not from starting."""


@pytest.fixture(scope="module")
def place(kafka_address: str) -> Iterator[ServerPlace]:
    """Return a database that govid owns and was used with its keys, and a Kafka without topics."""
    with debian_server() as server:
        asyncio.run(
            server.execute(
                *(
                    f"CREATE ROLE {name} LOGIN PASSWORD '{server.password}'"
                    for name in (OWNER, ROLE, STRANGER)
                ),
                f"CREATE DATABASE {DATABASE} OWNER {OWNER}",
                f"GRANT pg_read_all_stats TO {OWNER}",
            )
        )
        found = ServerPlace(server, kafka_address)
        upgrade(found.url())
        asyncio.run(server.execute(*EVERYTHING_BUT_OWNERSHIP, database=DATABASE))
        asyncio.run(_note_keys(found))
        yield found


async def _note_keys(place: ServerPlace) -> None:
    connection = await asyncpg.connect(place.url())
    try:
        await record_keys(
            connection, configured_keys(load_from_environment(BASE, env_file=None).identity)
        )
    finally:
        await connection.close()


def environment_of(place: ServerPlace, given: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of a sound installation, changed as *given*."""
    return {
        **{name: text for name, text in os.environ.items() if not name.startswith("GOVID_")},
        **BASE,
        "GOVID_REGISTRATIONS_PER_HOUR": "20",
        "GOVID_DATABASE_URL": place.url(),
        "GOVID_KAFKA_BOOTSTRAP_SERVERS": NO_KAFKA,
        "GOVID_PORT": "0",
        **given,
    }


def check(folder: Path, environment: Mapping[str, str]) -> tuple[int | None, list[str]]:
    """Run `govid check`; return its exit code and its lines."""
    return run("check", folder=folder, environment=environment)


def serve(folder: Path, environment: Mapping[str, str]) -> tuple[int | None, list[str]]:
    """Run `govid serve` and end it once it is ready; return its exit code and what it said.

    A server that came up, and ended in good order when it was asked to, has the code 0.
    """
    with started("serve", folder=folder, environment=environment) as (process, text):
        lines = []
        for line in text:
            lines.append(line.rstrip("\n"))
            if line.startswith("Ready on "):
                process.terminate()
        process.join(SERVE_SECONDS)
        return process.exitcode, lines


def settings(**changes: str) -> Input:
    """Return an input that consists of settings alone."""

    @contextmanager
    def prepare(place: ServerPlace) -> Iterator[Given]:
        facts = {"port": place.server.port}
        yield Given({name: text.format(**facts) for name, text in changes.items()}, facts)

    return prepare


def query(text: str) -> Input:
    """Return parameters of the database's URL."""

    @contextmanager
    def prepare(place: ServerPlace) -> Iterator[Given]:
        url = f"{place.url()}?{text}"
        yield Given({"GOVID_DATABASE_URL": url}, {"port": place.server.port})

    return prepare


def user(name: str) -> Input:
    """Return another role."""

    @contextmanager
    def prepare(place: ServerPlace) -> Iterator[Given]:
        yield Given({"GOVID_DATABASE_URL": place.url(name)})

    return prepare


def database(name: str) -> Input:
    """Return another database."""

    @contextmanager
    def prepare(place: ServerPlace) -> Iterator[Given]:
        yield Given({"GOVID_DATABASE_URL": place.url(database=name)})

    return prepare


def encoding(name: str) -> Input:
    """Return a database in another encoding."""

    @contextmanager
    def prepare(place: ServerPlace) -> Iterator[Given]:
        database = f"in_{name.lower()}"
        asyncio.run(
            place.server.execute(
                f"CREATE DATABASE {database} OWNER {OWNER} ENCODING '{name}' TEMPLATE template0"
            )
        )
        try:
            yield Given({"GOVID_DATABASE_URL": place.url(database=database)})
        finally:
            asyncio.run(place.server.execute(f"DROP DATABASE {database} WITH (FORCE)"))

    return prepare


def pooler(mode: str) -> Input:
    """Return a PgBouncer in between."""

    @contextmanager
    def prepare(place: ServerPlace) -> Iterator[Given]:
        with pgbouncer(place.server, mode) as url:
            yield Given({"GOVID_DATABASE_URL": f"{url.rpartition('/')[0]}/{DATABASE}"})

    return prepare


def statements(do: str, undo: str, changes: Mapping[str, str] = {}, who: str = OWNER) -> Input:
    """Return what the administrator does to the database."""

    @contextmanager
    def prepare(place: ServerPlace) -> Iterator[Given]:
        reload = "SELECT pg_reload_conf()"
        asyncio.run(place.server.execute(do, reload, database=DATABASE))
        try:
            given = {"GOVID_DATABASE_URL": place.url(who), **changes}
            yield Given(given, {"port": place.server.port})
        finally:
            asyncio.run(place.server.execute(undo, reload, database=DATABASE))

    return prepare


TopicChange = Callable[[KafkaFixture], Awaitable[Mapping[str, object] | None]]


def topics(deed: TopicChange) -> Input:
    """Return topics that a server has created, after they were changed by *change*."""

    @contextmanager
    def prepare(place: ServerPlace) -> Iterator[Given]:
        mark = uuid4().hex[:8]
        bus = BusSettings(
            # What restores a backup may do more than a server.
            database_url=place.url("postgres"),
            kafka_bootstrap_servers=place.kafka,
            pseudonym_key=BASE["GOVID_PSEUDONYM_KEY"].encode(),
            kafka_client_id=f"{mark}.govid",
            kafka_prefix=f"{mark}.",
        )
        facts = asyncio.run(_done(bus, deed))
        every = ", ".join(required_topics(bus))
        try:
            yield Given(
                {"GOVID_KAFKA_BOOTSTRAP_SERVERS": place.kafka, "GOVID_KAFKA_PREFIX": f"{mark}."},
                {"mark": mark, "every": every, **facts},
            )
        finally:
            asyncio.run(_forget_receipts(bus))

    return prepare


async def _forget_receipts(bus: BusSettings) -> None:
    """Delete them: another prefix that published a moment ago is a warning of the next input."""
    connection = await asyncpg.connect(bus.database_url)
    try:
        await connection.execute(
            "DELETE FROM bus.receipt WHERE topic LIKE $1", f"{bus.kafka_prefix}%"
        )
    finally:
        await connection.close()


async def _done(bus: BusSettings, deed: TopicChange) -> Mapping[str, object]:
    async with Database(bus) as database, KafkaFixture(bus, database).run() as replica:
        await replica.wait_until_healthy()
        return await deed(replica) or {}


def unreadable(damage: Damage) -> Input:
    """Return topics of which one holds a batch that was damaged on the broker's disk."""

    @contextmanager
    def prepare(place: ServerPlace) -> Iterator[Given]:
        if why_not := kafka_jars.missing():
            unavailable(f"no Kafka from jars: {why_not}")
        broker = kafka_jars.JarBroker()
        try:
            broker.start()
            kafka.wait_until_ready(broker.address)
            create(broker.address, Topic.DEATH_NOTIFICATION, 1)
            notices = [a_notice(label) for label in "abc"]
            produce(broker.address, Topic.DEATH_NOTIFICATION, 0, "none", *notices)
            broker.stop()
            edit(broker.segment(Topic.DEATH_NOTIFICATION, 0), damage)
            broker.start()
            kafka.wait_until_ready(broker.address)
            yield Given({"GOVID_KAFKA_BOOTSTRAP_SERVERS": broker.address})
        finally:
            broker.remove()

    return prepare


@contextmanager
def no_topics(place: ServerPlace) -> Iterator[Given]:
    """Return a Kafka to which no server of this prefix ever came."""
    prefix = f"{uuid4().hex[:8]}."
    bus = BusSettings(
        database_url="", kafka_bootstrap_servers="", pseudonym_key=b"", kafka_prefix=prefix
    )
    yield Given(
        {"GOVID_KAFKA_BOOTSTRAP_SERVERS": place.kafka, "GOVID_KAFKA_PREFIX": prefix},
        {"every": ", ".join(required_topics(bus))},
    )


async def nothing(_: KafkaFixture) -> None:
    """Leave the topics as they are."""


def deleted(topic: Topic) -> TopicChange:
    """Delete *topic* after the server has gone."""

    async def deed(replica: KafkaFixture) -> None:
        name = replica.wire_name(topic)
        await replica.kafka.stop()
        await administer(replica, lambda client: client.delete_topics([name]))
        # A broker tells of it a moment after the controller has done it. So below.
        await wait_until(lambda: is_gone(replica, name))

    return deed


def grown(topic: Topic, partitions: int) -> TopicChange:
    """Give *topic* more partitions."""

    async def deed(replica: KafkaFixture) -> None:
        name = replica.wire_name(topic)

        def grow(client: AdminClient) -> dict[Any, Any]:
            return client.create_partitions([NewPartitions(name, partitions)])

        await administer(replica, grow)
        await wait_until(lambda: has_partitions(replica, name, partitions))

    return deed


async def dropped_unclean(replica: KafkaFixture) -> None:
    """Allow a broker that lags to lead a topic."""
    name = replica.wire_name(Topic.VERIFICATION_REQUEST)
    await administer(replica, lambda client: client.incremental_alter_configs([unclean(name)]))
    await wait_until(lambda: is_unclean(replica, name))


async def is_unclean(replica: KafkaFixture, topic: str) -> bool:
    async with open_reader(KafkaClientFactory(replica.settings.kafka_bootstrap_servers)) as archive:
        return any(
            UNCLEAN in line
            for line in await durability_warnings(archive, [topic], replica.settings)
        )


def forgotten(count: int) -> TopicChange:
    """Let the database forget the last *count* of five events, as an older backup does."""

    async def deed(replica: KafkaFixture) -> Mapping[str, object]:
        ids = await publish(replica, 5)
        first = ids[-count]
        topic, partition, offset = await place_of(replica, first)
        await forget(replica, ids[-count:])
        since = uuid7_timestamp(first).isoformat(timespec="seconds")
        return {"at": f"{topic}/{partition}", "event": first, "since": since, "offset": offset}

    return deed


MODES = "allow, disable, prefer, require, verify-ca, verify-full"
POOLED = (
    "GOVID_DATABASE_URL leads to a pooler in {} mode: sessions lose their settings and locks; set "
    "pool_mode = session for govid's database"
)
ENCODED = "the database is encoded in {}; govid needs one that was created with ENCODING 'UTF8'"
SUPERUSER = (
    "the database role postgres is a superuser: it may read and change everything, stored events "
    "included; create roles with `govid migrate --database-roles` (docs/operations.md)"
)
OWNS = (
    "the database role keeper owns the tables, so it may remove the triggers that protect events; "
    "let `govid migrate` run as the owner and `govid serve` as another role"
)
NO_RETENTION = "the database's role may not EXECUTE function bus.drop_day: retention could not run"
OTHER_ENCRYPTION = (
    "GOVID_KEY_ENCRYPTION_KEY is not the key that this database was used with: set the former "
    "one as GOVID_OLD_KEY_ENCRYPTION_KEY until `govid keys reencrypt` has ended"
)
OTHER_PSEUDONYMS = (
    "GOVID_PSEUDONYM_KEY is not the key that this database was used with: notices, attempts and "
    "locks would not be found; add the former one to GOVID_OLD_PSEUDONYM_KEYS"
)
HIDDEN = (
    "the database role is not a member of pg_read_all_stats, so it does not see the "
    "transactions of other roles, and govid_oldest_transaction_seconds is not measured"
)
FSYNC = (
    "the database runs with fsync=off and loses what was committed at a power cut; to allow it, "
    "set GOVID_ALLOW_UNSAFE_DATABASE=true"
)
DAMAGE = "the database runs with {}=off: a power cut may damage its data"
UNMATCHED = (
    "GOVID_CORS_ORIGINS holds '{}', which no browser sends: an origin is a scheme and a host, like "
    "https://app.example.org"
)
IN_TOKENS = (
    "GOVID_PUBLIC_URL holds {}; it would be part of every token: give scheme, host and path only"
)
TRUSTS = (
    "{} trusts every address, so that each client can claim to be another: name the networks of "
    "your own machines"
)
UNTHROTTLED = (
    "every throttle of a network is off: set GOVID_ADDRESS_FAILURES, GOVID_REGISTRATIONS_PER_HOUR "
    "or GOVID_DUPLICATES_PER_DAY"
)
UNENCRYPTED = (
    "GOVID_DATABASE_URL has sslmode=disable: passwords and data are sent unencrypted; use "
    "verify-full, or prefer where the network is protected otherwise"
)
MISSING = "Kafka has no topic {}: a server that runs creates what is missing"
CHANGED = (
    "topic {{mark}}.{0} has {1} partitions and had 4: govid goes on with 4 until "
    "`govid topics accept {{mark}}.{0}`"
)
AHEAD = (
    "Kafka is ahead of this database at {at}: event {event} of {since} at offset {offset} is not "
    "in it. It was restored from an older backup, is a standby that was promoted without it, or is "
    "another one; nothing is published until you have followed docs/restore.md and have run "
    "`govid topics accept-ahead` or `govid serve --accept-kafka-ahead`"
)
SILENT = "no Kafka answers at {}: events wait, and no topic was checked"
UNWRITTEN = (
    "GOVID_KAFKA_BOOTSTRAP_SERVERS (environment): a Kafka server is written like "
    "kafka.example:9092 or [2001:db8::1]:9092"
)
READ_ONLY = (
    "the database accepts no writes: it is a standby, or read-only; promote it, or name the "
    "primary in GOVID_DATABASE_URL"
)
UNSAFE = {"GOVID_ALLOW_UNSAFE_DATABASE": "false"}
ALONE = "min.insync.replicas=1, so that one broker acknowledges alone"
UNCLEAN = "unclean.leader.election.enable=true, so that acknowledged records can be dropped"


def row(name: str, prepare: Input, verdict: Verdict, sentence: str) -> Any:
    """Return one input, and what is said of it."""
    return pytest.param(prepare, verdict, sentence, id=name)


ROWS = [
    row(
        "c2 unknown sslmode",
        query("sslmode=always"),
        FAULT,
        f"GOVID_DATABASE_URL: its parameter sslmode is not one of: {MODES}",
    ),
    row(
        "c2 unsupported parameter",
        query("requirepeer=postgres"),
        FAULT,
        "GOVID_DATABASE_URL: govid does not support its parameter requirepeer",
    ),
    row(
        "c2 tls that the server has not",
        query("sslmode=require"),
        AWAY,
        "no connection to PostgreSQL at 127.0.0.1:{port} (it offers no encryption)",
    ),
    row(
        "c2 wrong password",
        settings(GOVID_DATABASE_URL=f"postgresql://{OWNER}:wrong@127.0.0.1:{{port}}/{DATABASE}"),
        AWAY,
        "the database refuses this role or its password",
    ),
    row("c2 no such database", database("nowhere"), AWAY, "the database does not exist"),
    row(
        "c2 writes that are refused",
        statements(
            f"ALTER ROLE {OWNER} SET default_transaction_read_only = on",
            f"ALTER ROLE {OWNER} RESET default_transaction_read_only",
        ),
        FAULT,
        READ_ONLY,
    ),
    row("c6 latin1", encoding("LATIN1"), AWAY, ENCODED.format("LATIN1")),
    row("c6 latin9", encoding("LATIN9"), AWAY, ENCODED.format("LATIN9")),
    row("c6 sql_ascii", encoding("SQL_ASCII"), AWAY, ENCODED.format("SQL_ASCII")),
    row("c7 transaction mode", pooler("transaction"), FAULT, POOLED.format("transaction")),
    row("c7 statement mode", pooler("statement"), FAULT, POOLED.format("statement")),
    row("c7 session mode", pooler("session"), WARNING, SUPERUSER),
    row("c8 superuser", user("postgres"), WARNING, SUPERUSER),
    row("c8 owner", user(OWNER), WARNING, OWNS),
    row(
        "c9 no retention",
        statements(
            f"REVOKE EXECUTE ON FUNCTION bus.drop_day FROM {ROLE}",
            f"GRANT EXECUTE ON FUNCTION bus.drop_day TO {ROLE}",
            who=ROLE,
        ),
        FAULT,
        NO_RETENTION,
    ),
    row(
        "c9 no select of a sequence",
        statements(
            "REVOKE SELECT ON SEQUENCE bus.event_position FROM service",
            "GRANT SELECT ON SEQUENCE bus.event_position TO service",
            who=ROLE,
        ),
        FAULT,
        "the database's role may not SELECT sequence bus.event_position",
    ),
    row(
        "c9 no update of a table",
        statements(
            f"REVOKE UPDATE ON identity.session FROM {ROLE}",
            f"GRANT UPDATE ON identity.session TO {ROLE}",
            who=ROLE,
        ),
        FAULT,
        "the database's role may not UPDATE table identity.session",
    ),
    row(
        "c9 no usage of a schema",
        statements(
            f"REVOKE USAGE ON SCHEMA nhs FROM {ROLE}",
            f"GRANT USAGE ON SCHEMA nhs TO {ROLE}",
            who=ROLE,
        ),
        FAULT,
        "the database's role may not USAGE schema nhs",
    ),
    row(
        "c9 no right at all",
        user(STRANGER),
        FAULT,
        "the database's role may not SELECT table public.govid_version",
    ),
    row(
        "c11 other key of encryption",
        settings(GOVID_KEY_ENCRYPTION_KEY=OTHER_KEY),
        FAULT,
        OTHER_ENCRYPTION,
    ),
    row(
        "c11 other key of pseudonyms",
        settings(GOVID_PSEUDONYM_KEY=OTHER_KEY),
        FAULT,
        OTHER_PSEUDONYMS,
    ),
    row(
        "c11 keys exchanged",
        settings(
            GOVID_PSEUDONYM_KEY=BASE["GOVID_KEY_ENCRYPTION_KEY"],
            GOVID_KEY_ENCRYPTION_KEY=BASE["GOVID_PSEUDONYM_KEY"],
        ),
        FAULT,
        OTHER_PSEUDONYMS,
    ),
    row(
        "c12 hidden rows",
        statements(f"REVOKE pg_read_all_stats FROM {OWNER}", f"GRANT pg_read_all_stats TO {OWNER}"),
        WARNING,
        HIDDEN,
    ),
    row("c13 fsync", settings(**UNSAFE), FAULT, FSYNC),
    row("c13 fsync, allowed", settings(), WARNING, DAMAGE.format("fsync")),
    row(
        "c13 full_page_writes",
        statements(
            "ALTER SYSTEM SET full_page_writes = off", "ALTER SYSTEM RESET full_page_writes"
        ),
        WARNING,
        DAMAGE.format("full_page_writes"),
    ),
    row(
        "c13 one replica of each topic",
        topics(nothing),
        WARNING,
        "topics with one replica only (replication factor 1): {every}",
    ),
    row(
        "c13 one broker acknowledges",
        topics(nothing),
        WARNING,
        f"topics with {ALONE}: {{every}}",
    ),
    row(
        "c13 unclean elections",
        topics(dropped_unclean),
        WARNING,
        f"topics with {UNCLEAN}: {{mark}}.{Topic.VERIFICATION_REQUEST}",
    ),
    row(
        "d6 path",
        settings(GOVID_CORS_ORIGINS='["https://app.example.org/shop"]'),
        FAULT,
        UNMATCHED.format("https://app.example.org/shop"),
    ),
    row(
        "d6 no scheme",
        settings(GOVID_CORS_ORIGINS="app.example.org"),
        FAULT,
        UNMATCHED.format("app.example.org"),
    ),
    row("d6 any", settings(GOVID_CORS_ORIGINS="*"), FAULT, "GOVID_CORS_ORIGINS allows any origin"),
    row(
        "d10 query",
        settings(GOVID_PUBLIC_URL="https://id.example.com?tenant=a"),
        FAULT,
        IN_TOKENS.format("a query"),
    ),
    row(
        "d10 fragment",
        settings(GOVID_PUBLIC_URL="https://id.example.com/#top"),
        FAULT,
        IN_TOKENS.format("a fragment"),
    ),
    *(
        row(
            f"a10 {topic} is gone",
            topics(deleted(topic)),
            WARNING,
            MISSING.format(f"{{mark}}.{topic}"),
        )
        for topic in (
            Topic.DEATH_NOTIFICATION,
            Topic.APPOINTMENT_RESULT,
            Topic.VERIFICATION_REQUEST,
        )
    ),
    *(
        row(
            f"a11 {partitions} partitions",
            topics(grown(topic, partitions)),
            WARNING,
            CHANGED.format(topic, partitions),
        )
        for topic, partitions in (
            (Topic.APPOINTMENT_REQUEST, 6),
            (Topic.APPOINTMENT_REQUEST, 5),
            (Topic.VERIFICATION_REQUEST, 12),
        )
    ),
    *(
        row(f"a14 {count} events forgotten", topics(forgotten(count)), RELAY, AHEAD)
        for count in (1, 3, 5)
    ),
    *(
        row(
            f"a14 a batch cannot be read for its {reason}",
            unreadable(damage),
            WARNING,
            f"records at {Topic.DEATH_NOTIFICATION}/0/1 to 1 cannot be read ({reason}): they were "
            "not compared with the database",
        )
        for reason, damage in (
            ("checksum", flip(RECORDS + 200)),
            ("codec", of_codec(5)),
            ("compression", of_codec(1)),
        )
    ),
    row(
        "f4 trusted proxies",
        settings(GOVID_TRUSTED_PROXIES="0.0.0.0/0"),
        FAULT,
        TRUSTS.format("GOVID_TRUSTED_PROXIES"),
    ),
    row(
        "f4 trusted callers",
        settings(GOVID_TRUSTED_CALLERS="::/0"),
        FAULT,
        TRUSTS.format("GOVID_TRUSTED_CALLERS"),
    ),
    row(
        "f4 throttles",
        settings(
            GOVID_ADDRESS_FAILURES="0",
            GOVID_REGISTRATIONS_PER_HOUR="0",
            GOVID_DUPLICATES_PER_DAY="0",
        ),
        FAULT,
        UNTHROTTLED,
    ),
    row(
        "f4 one key twice",
        settings(GOVID_KEY_ENCRYPTION_KEY=BASE["GOVID_PSEUDONYM_KEY"]),
        FAULT,
        "GOVID_KEY_ENCRYPTION_KEY is the same value as GOVID_PSEUDONYM_KEY: each secret needs a "
        "value of its own",
    ),
    row(
        "f4 digits in order",
        settings(GOVID_PSEUDONYM_KEY="0123456789" * 4),
        FAULT,
        "GOVID_PSEUDONYM_KEY is too easy to guess",
    ),
    row(
        "f4 no tls",
        settings(GOVID_DATABASE_URL="postgresql://a:b@192.0.2.1/c?sslmode=disable"),
        FAULT,
        UNENCRYPTED,
    ),
    row("f11 closed port", settings(), WARNING, SILENT.format("127.0.0.1:1 (connection refused)")),
    row(
        "f11 unknown name, second closed",
        settings(GOVID_KAFKA_BOOTSTRAP_SERVERS="kafka.invalid:9092,[::1]:1"),
        WARNING,
        SILENT.format("kafka.invalid:9092 (its name is not known), [::1]:1 (connection refused)"),
    ),
    row(
        "f11 another server",
        settings(GOVID_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:{port}"),
        WARNING,
        SILENT.format(
            "127.0.0.1:{port} (it does not answer as Kafka does with "
            "GOVID_KAFKA_SECURITY_PROTOCOL=PLAINTEXT)"
        ),
    ),
    row(
        "f11 no number",
        settings(GOVID_KAFKA_BOOTSTRAP_SERVERS="127.0.0.1:kafka"),
        UNREADABLE,
        UNWRITTEN,
    ),
    row(
        "f11 a web address",
        settings(GOVID_KAFKA_BOOTSTRAP_SERVERS="http://kafka:9092"),
        UNREADABLE,
        UNWRITTEN,
    ),
    row("f11 missing topics", no_topics, WARNING, MISSING.format("{every}")),
]


@pytest.mark.parametrize(("prepare", "verdict", "sentence"), ROWS)
def test_check_and_serve_say_the_same(
    place: ServerPlace, tmp_path: Path, prepare: Input, verdict: Verdict, sentence: str
) -> None:
    with prepare(place) as given:
        environment = environment_of(place, given.settings)
        check_code, checked = check(tmp_path, environment)
        serve_code, served = serve(tmp_path, environment)
    expected = sentence.format(**given.facts)
    assert f"{verdict.check}{expected}" in checked, checked
    assert f"{verdict.serve}{expected}{verdict.serve_end}" in served, served
    assert (check_code, serve_code) == (verdict.check_code, verdict.serve_code), (checked, served)


@pytest.mark.parametrize(
    "command", [("migrate",), ("migrate", "status"), ("outbox", "status"), ("keys", "list")]
)
@pytest.mark.parametrize(
    ("prepare", "code", "line"),
    [
        (query("sslmode=always"), 2, f"  - its parameter sslmode is not one of: {MODES}"),
        (
            query("requirepeer=postgres"),
            2,
            "  - govid does not support its parameter requirepeer",
        ),
        (
            query("sslmode=require&connect_timeout=3"),
            4,
            "govid: no connection to PostgreSQL at 127.0.0.1:{port} (it offers no encryption).",
        ),
        (database("nowhere"), 4, "govid: the database does not exist."),
        (encoding("LATIN2"), 4, f"govid: {ENCODED.format('LATIN2')}."),
    ],
)
def test_every_command_reads_the_url_as_serve_does(
    place: ServerPlace,
    tmp_path: Path,
    prepare: Input,
    code: int,
    line: str,
    command: tuple[str, ...],
) -> None:
    with prepare(place) as given:
        environment = environment_of(place, given.settings)
        ended, lines = run(*command, folder=tmp_path, environment=environment)
    assert line.format(**given.facts) in lines, lines
    assert ended == code


def test_a_sound_installation_has_no_fault(place: ServerPlace, tmp_path: Path) -> None:
    with topics(nothing)(place) as given:
        code, lines = check(tmp_path, environment_of(place, given.settings))
    every = given.facts["every"]
    assert [line for line in lines if "simulated" not in line] == [
        "warning: GOVID_TAX_RECORDS is off: tax records of HMRC are not available",
        "warning: access tokens live longer than 15 minutes (GOVID_ACCESS_TOKEN_EXPIRE_MINUTES)",
        "warning: GOVID_MAIL is off: forgotten passwords and email addresses cannot be changed",
        "warning: nothing can scrape /metrics: set GOVID_MANAGEMENT_PORT, or GOVID_METRICS_TOKEN",
        f"warning: {DAMAGE.format('fsync')}",
        f"warning: topics with one replica only (replication factor 1): {every}",
        f"warning: topics with {ALONE}: {every}",
        f"warning: {OWNS}",
        "0 faults",
    ]
    assert code == 0


def test_no_fault_of_the_database_hides_another(place: ServerPlace, tmp_path: Path) -> None:
    changed = statements(
        f"ALTER ROLE {ROLE} SET default_transaction_read_only = on;"
        f"REVOKE EXECUTE ON FUNCTION bus.drop_day FROM {ROLE};"
        "ALTER TABLE public.govid_version RENAME TO put_aside",
        f"ALTER ROLE {ROLE} RESET default_transaction_read_only;"
        f"GRANT EXECUTE ON FUNCTION bus.drop_day TO {ROLE};"
        "ALTER TABLE public.put_aside RENAME TO govid_version",
        {**UNSAFE, "GOVID_PSEUDONYM_KEY": OTHER_KEY, "GOVID_CORS_ORIGINS": "*"},
        who=ROLE,
    )
    with changed(place) as given:
        code, lines = check(tmp_path, environment_of(place, given.settings))
    behind = f"the database is at migration none, not at {head_revision()}: `govid migrate`"
    faults = ("GOVID_CORS_ORIGINS allows any origin", behind, OTHER_PSEUDONYMS, READ_ONLY)
    assert {f"fault: {one}" for one in (*faults, NO_RETENTION, FSYNC)} <= set(lines)
    assert code == 5

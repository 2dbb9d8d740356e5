"""One signing key follows another: no client is refused wrongly, and no old token stays valid."""

from typing import Any

import msgspec
import pytest

from govid.bus import Database, SystemClock
from govid.identity.errors import InvalidToken
from govid.identity.repository.signing_keys import SigningKeyRepository
from govid.identity.settings import IdentitySettings
from govid.identity.tokens.access_tokens import AccessTokens
from govid.identity.tokens.key_rotation import (
    KeyRotation,
    KeyRotationWorker,
    RotationConflict,
    RotationRequest,
)
from govid.identity.tokens.signing_keys import Keyring, UnreadableKey
from tests.integration.identity.conftest import CONTEXT, SETTINGS, build_uow
from tests.unit.identity.tokens.test_access_tokens import issue

ROTATION_PERIOD = RotationRequest(operator="ada", reason="every quarter")
SEALED = msgspec.structs.replace(SETTINGS, key_encryption_key=b"the operator's key, kept elsewhere")


class Process:
    """The keys of one process, and what it makes of tokens."""

    def __init__(self, database: Database, settings: IdentitySettings = SETTINGS) -> None:
        uow, stored = build_uow(database), SigningKeyRepository()
        self.database = database
        self.keyring = Keyring(settings, uow, stored)
        self.rotation = KeyRotation(settings, uow, stored)
        self.watch = KeyRotationWorker(self.keyring, self.rotation)
        self.tokens = AccessTokens(
            self.keyring, SystemClock(), issuer=settings.issuer, lifetime=1800
        )

    async def started(self) -> "Process":
        await self.keyring.load()
        return self

    @property
    def published(self) -> list[str]:
        return [key["kid"] for key in msgspec.json.decode(self.keyring.encode_jwks())["keys"]]

    async def states(self) -> dict[str, str]:
        return {key.kid: key.state for key in await self.rotation.fetch_states(CONTEXT)}

    async def due(self) -> None:
        """Let the time of the next step have come."""
        await self.database.reads.execute(
            "UPDATE identity.signing_key SET due_at = clock_timestamp() WHERE due_at IS NOT NULL"
        )

    async def steps(self) -> list[tuple[str, str, str | None]]:
        """Return what was audited: key, step, operator."""
        query = (
            "SELECT payload::text FROM bus.event WHERE type = 'identity.keys.rotated' ORDER BY pos"
        )
        events = [msgspec.json.decode(row[0]) for row in await self.database.reads.fetch(query)]
        return [(one["kid"], one["step"], one["operator"]) for one in events]


@pytest.fixture
async def one(database: Database) -> Process:
    """Return a process that has made the first key."""
    return await Process(database).started()


@pytest.fixture
async def other(database: Database, one: Process) -> Process:
    """Return a second process on the same database."""
    return await Process(database).started()


async def test_r10_a_new_key_is_published_everywhere_before_it_signs(
    one: Process, other: Process
) -> None:
    old = one.keyring.signing.kid
    new = await one.rotation.rotate(ROTATION_PERIOD, CONTEXT)
    await one.watch.check()
    await other.watch.check()
    assert one.published == other.published == [old, new]
    assert one.keyring.signing.kid == other.keyring.signing.kid == old
    due = await one.database.reads.fetchval(
        "SELECT due_at - created_at FROM identity.signing_key WHERE kid = $1", new
    )
    assert due.total_seconds() >= 360


async def test_r10_a_token_from_before_the_switch_is_believed_by_all_after_it(
    one: Process, other: Process
) -> None:
    old = one.keyring.signing.kid
    before = issue(one.tokens)
    new = await one.rotation.rotate(ROTATION_PERIOD, CONTEXT)
    await other.watch.check()
    await one.due()
    await one.watch.check()
    after = issue(one.tokens)
    assert one.keyring.signing.kid == new
    # The other process has not looked since the switch, and knows the new key all the same.
    assert other.keyring.signing.kid == old
    assert other.tokens.verify(after).kid == new
    assert one.tokens.verify(before).kid == other.tokens.verify(issue(other.tokens)).kid == old
    await other.watch.check()
    assert one.published == other.published == [new, old]


async def test_r10_an_old_key_lives_as_long_as_its_tokens_need_and_then_fails(
    one: Process,
) -> None:
    old = one.keyring.signing.kid
    token = issue(one.tokens)
    new = await one.rotation.rotate(ROTATION_PERIOD, CONTEXT)
    await one.due()
    await one.watch.check()
    kept = await one.database.reads.fetchval(
        "SELECT due_at - clock_timestamp() FROM identity.signing_key WHERE kid = $1", old
    )
    assert 300 + 1800 + 20 < kept.total_seconds() <= 300 + 1800 + 30
    assert one.tokens.verify(token).kid == old
    await one.due()
    await one.watch.check()
    with pytest.raises(InvalidToken):
        one.tokens.verify(token)
    assert one.published == [new]
    assert await one.states() == {old: "retired", new: "active"}


async def test_r10_a_retired_key_has_no_private_half_left(one: Process) -> None:
    old = one.keyring.signing.kid
    await one.rotation.rotate(ROTATION_PERIOD, CONTEXT, immediately=True)
    await one.rotation.retire(old, ROTATION_PERIOD, CONTEXT)
    rows = await one.database.reads.fetch(
        "SELECT kid, private_key IS NULL AS gone FROM identity.signing_key"
    )
    assert {row["kid"]: row["gone"] for row in rows}[old] is True


async def test_r10_each_step_is_taken_once_and_audited(one: Process, other: Process) -> None:
    old = one.keyring.signing.kid
    new = await one.rotation.rotate(ROTATION_PERIOD, CONTEXT)
    await one.due()
    await one.watch.check()
    await other.watch.check()
    await one.due()
    await other.watch.check()
    await one.watch.check()
    assert await one.steps() == [
        (new, "published", "ada"),
        (new, "activated", None),
        (old, "retiring", None),
        (old, "retired", None),
    ]


async def test_a_second_rotation_waits_for_the_first(one: Process) -> None:
    await one.rotation.rotate(ROTATION_PERIOD, CONTEXT)
    with pytest.raises(RotationConflict, match="already published"):
        await one.rotation.rotate(ROTATION_PERIOD, CONTEXT)
    assert len(await one.states()) == 2


async def test_a_leak_is_answered_at_once(one: Process, other: Process) -> None:
    old = one.keyring.signing.kid
    stolen = issue(one.tokens)
    new = await one.rotation.rotate(ROTATION_PERIOD, CONTEXT, immediately=True)
    await one.rotation.retire(old, ROTATION_PERIOD, CONTEXT)
    await other.watch.check()
    assert other.keyring.signing.kid == new
    with pytest.raises(InvalidToken):
        other.tokens.verify(stolen)


async def test_a_key_on_its_way_may_be_called_in_at_once(one: Process) -> None:
    new = await one.rotation.rotate(ROTATION_PERIOD, CONTEXT)
    assert await one.rotation.rotate(ROTATION_PERIOD, CONTEXT, immediately=True) == new
    await one.watch.check()
    assert one.keyring.signing.kid == new


@pytest.mark.parametrize(
    ("kid", "why"), [("nobody's", "no such key"), (None, "this key signs")], ids=["none", "active"]
)
async def test_some_keys_are_not_retired(one: Process, kid: str | None, why: str) -> None:
    with pytest.raises(RotationConflict, match=why):
        await one.rotation.retire(kid or one.keyring.signing.kid, ROTATION_PERIOD, CONTEXT)


async def test_a_retired_key_is_not_retired_again(one: Process) -> None:
    new = await one.rotation.rotate(ROTATION_PERIOD, CONTEXT)
    await one.rotation.retire(new, ROTATION_PERIOD, CONTEXT)
    with pytest.raises(RotationConflict, match="already retired"):
        await one.rotation.retire(new, ROTATION_PERIOD, CONTEXT)


async def test_new_keys_are_encrypted(database: Database) -> None:
    process = await Process(database, SEALED).started()
    new = await process.rotation.rotate(ROTATION_PERIOD, CONTEXT)
    sealed = await database.reads.fetchval(
        "SELECT sealed FROM identity.signing_key WHERE kid = $1", new
    )
    assert sealed is True
    await process.due()
    await process.watch.check()
    assert (await Process(database, SEALED).started()).keyring.signing.kid == new


@pytest.mark.parametrize("key", [None, b"another key"])
async def test_an_operator_without_the_servers_key_stores_nothing(
    database: Database, key: bytes | None
) -> None:
    await Process(database, SEALED).started()
    stranger = Process(database, msgspec.structs.replace(SETTINGS, key_encryption_key=key))
    with pytest.raises(UnreadableKey):
        await stranger.rotation.rotate(ROTATION_PERIOD, CONTEXT)
    assert len(await stranger.states()) == 1


async def test_a_shared_secret_does_not_rotate(database: Database) -> None:
    settings = msgspec.structs.replace(SETTINGS, algorithm="HS256", secret_key=b"s" * 32)
    with pytest.raises(RotationConflict, match="GOVID_SECRET_KEY"):
        await Process(database, settings).rotation.rotate(ROTATION_PERIOD, CONTEXT)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"key_publish_seconds": 309}, "GOVID_KEY_PUBLISH_SECONDS"),
        ({"jwks_max_age_seconds": 351}, "GOVID_KEY_PUBLISH_SECONDS"),
        ({"key_keep_seconds": 300 + 1800 + 29}, "must be 2130 or more"),
        ({"key_keep_seconds": 3000, "access_token_seconds": 86_400}, "must be 86730 or more"),
        ({"key_keep_seconds": 330 + 299, "access_token_seconds": 60}, "must be 630 or more"),
    ],
)
def test_r10_settings_that_would_refuse_good_tokens_are_refused(
    changes: dict[str, Any], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        IdentitySettings(issuer=SETTINGS.issuer, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"key_publish_seconds": 310},
        {"key_keep_seconds": 300 + 1800 + 30},
        {"access_token_seconds": 86_400},
    ],
)
def test_r10_settings_that_leave_enough_time_are_taken(changes: dict[str, Any]) -> None:
    settings = IdentitySettings(issuer=SETTINGS.issuer, **changes)
    assert settings.key_retention_seconds >= 300 + settings.max_token_seconds + 30

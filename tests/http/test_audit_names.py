"""R22: entries that no other test of HTTP produces, because time or another system causes them.

With `--audit-names` a run checks that each entry of `AUDIT_RULES` has a producer.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from govid.bus import Database, OperationContext, SystemClock, UnitOfWork
from govid.bus.delivery.outbox import PostgresOutbox
from govid.bus.delivery.subscriptions import Subscriber, Subscriptions
from govid.bus.events import DeathNotified, IdentifierType
from govid.bus.events.envelope import EnvelopeFactory
from govid.bus.events.registry import EventRegistry
from govid.bus.shared.privacy import PseudonymGenerator
from govid.gateway.settings import Settings
from tests.audit_entries import entry_factory
from tests.http.client import NIN, PASSWORD, Client
from tests.http.serving import serving
from tests.http.test_tax_consent import YEAR, consent

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


async def until_entered(database: Database, event: str, seconds: float = 10) -> dict[str, Any]:
    """Return the newest entry of *event*, once there is one."""
    query = "SELECT content FROM audit.entry WHERE event = $1 ORDER BY position DESC LIMIT 1"
    async with asyncio.timeout(seconds):
        while (content := await database.reads.fetchval(query, event)) is None:
            await asyncio.sleep(0.05)
    entry: dict[str, Any] = json.loads(content)
    return entry


@pytest.fixture
def notify(database: Database) -> Callable[[DeathNotified], Awaitable[None]]:
    """Return what stores a notice as HMRC's feed does, for identity's subscriber."""
    handler: Any = None
    subscriptions = Subscriptions()
    subscriptions.add(
        Subscriber(name="identity.lifecycle", handles=(DeathNotified,), handler=handler)
    )
    outbox = PostgresOutbox(
        EnvelopeFactory(EventRegistry(), PseudonymGenerator(b"a key for tests, 32 bytes or more")),
        entry_factory(),
        subscriptions,
    )
    uow = UnitOfWork(database.requests, outbox, SystemClock(), lambda names: None)

    async def emit(notice: DeathNotified) -> None:
        async with uow.begin(OperationContext(correlation_id="notice")) as tx:
            tx.emit(notice)

    return emit


def notice(**changes: Any) -> DeathNotified:
    members = {
        "identifier_type": IdentifierType.NIN,
        "identifier_value": "CN731731C",
        "timestamp": NOON,
        **changes,
    }
    return DeathNotified(**members)


async def age(database: Database, statement: str) -> None:
    """Change rows as time does, or as a fault of a disk."""
    await database.reads.execute(statement)


async def verified(client: Client) -> str:
    token = await client.citizen(identifierValue="CN731731C")
    await client.until_status(token, "verified")
    return token


async def test_r22_an_expired_session_and_a_lost_claim_have_entries(
    settings: Settings, database: Database
) -> None:
    with serving(settings) as url:
        async with httpx.AsyncClient(base_url=url) as http:
            await Client(http).citizen(identifierValue="CN731731C")
    await age(
        database,
        "UPDATE identity.session SET created_at = now() - interval '1 day',"
        " absolute_expires_at = now() - interval '1 s'",
    )
    await age(
        database,
        "UPDATE identity.account SET status = 'verification_failed',"
        " created_at = now() - interval '15 days'",
    )
    # The jobs run when the server starts.
    with serving(settings):
        session = await until_entered(database, "session.expired")
        claim = await until_entered(database, "account.claim_expired")
    assert session["subject"] == claim["subject"]
    assert claim["extensions"] == {"identifier_type": "NIN"}


async def test_r22_a_hash_that_cannot_be_read_has_an_entry(
    client: Client, database: Database
) -> None:
    await verified(client)
    await age(database, "UPDATE identity.account SET password_hash = 'torn'")
    answer = await client.post("/api/auth/login", {"email": NIN["email"], "password": PASSWORD})
    assert answer.status_code == 401
    assert (await until_entered(database, "credential.corrupt"))["outcome"] == "failure"


async def test_r22_the_end_of_a_consent_has_an_entry(
    settings: Settings, database: Database
) -> None:
    with serving(settings) as url:
        async with httpx.AsyncClient(base_url=url) as http:
            client = Client(http)
            token = await verified(client)
            await consent(client, token)
            withdrawn = await http.delete(
                "/api/hmrc/consent", headers={"Authorization": f"Bearer {token}"}
            )
            await consent(client, token)
    assert withdrawn.status_code == 204
    # The simulated HMRC of another process knows nothing of that consent.
    with serving(settings) as url:
        async with httpx.AsyncClient(base_url=url) as http:
            await Client(http).get(YEAR, token)
        assert (await until_entered(database, "consent.lapsed"))["outcome"] == "success"
    assert (await until_entered(database, "consent.withdrawn"))["actor"]["kind"] == "account"


@pytest.mark.parametrize(
    ("later", "event", "reason"),
    [
        ({"timestamp": NOON - timedelta(days=1)}, "life_event.ignored_stale", None),
        ({"identifier_value": "not a number"}, "life_event.illegal", "identifier"),
        ({"timestamp": NOON + timedelta(days=1), "user_id": uuid4()}, "review.opened",
         "another_account"),
    ],
)  # fmt: skip
async def test_r22_a_notice_that_is_not_applied_has_an_entry(
    client: Client,
    database: Database,
    notify: Callable[[DeathNotified], Awaitable[None]],
    later: dict[str, Any],
    event: str,
    reason: str | None,
) -> None:
    await verified(client)
    await notify(notice())
    await until_entered(database, "account.blocked")
    await notify(notice(**later))
    entry = await until_entered(database, event)
    assert entry.get("reason") == reason
    assert "CN731731C" not in str(entry)

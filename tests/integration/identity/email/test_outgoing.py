"""Which e-mails are stored, and which of them are held back (E9, E10)."""

from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest

from govid.bus import Database, Outage, PseudonymGenerator, QuotaCounters
from govid.identity.email.outgoing import NOTICES_PER_HOUR, EmailOutbox
from govid.identity.repository.accounts import PasswordAccount, PasswordAccountRepository
from govid.identity.repository.outgoing_email import EmailKind, OutgoingEmailRepository
from tests.integration.identity.conftest import CONTEXT, IdentityFixture
from tests.integration.identity.email.conftest import EmailFixture

CONFIRMED_AT = datetime(2026, 1, 5, tzinfo=UTC)
ADA, NEW = "ada@example.com", "new@example.com"
ASKED_FOR = [EmailKind.RESET, EmailKind.EMAIL_CONFIRMATION, EmailKind.EMAIL_CHANGE]
NOTICES = [
    EmailKind.PASSWORD_CHANGED,
    EmailKind.EMAIL_CHANGE_REQUESTED,
    EmailKind.EMAIL_CHANGED,
    EmailKind.ACCOUNT_CLOSED,
]
WRITTEN = """
    SELECT payload::jsonb ->> 'kind' AS kind, payload::jsonb ->> 'is_held_back' AS is_held_back
    FROM bus.event WHERE type = 'identity.letter.written' ORDER BY pos
"""


@pytest.fixture
def bounded() -> EmailOutbox:
    """Return a correspondence in which an address gets two e-mails of a kind that is asked for."""
    return EmailOutbox(
        OutgoingEmailRepository(),
        QuotaCounters("identity.quota"),
        PseudonymGenerator(b"k" * 32),
        is_enabled=True,
        max_per_hour=2,
    )


async def written(identity: IdentityFixture) -> list[tuple[str, str]]:
    return [tuple(row) for row in await identity.database.reads.fetch(WRITTEN)]


async def owner_of(identity: IdentityFixture, account_id: UUID) -> PasswordAccount:
    async with identity.uow.begin(CONTEXT) as tx:
        owner = await PasswordAccountRepository().find(tx, account_id)
    assert owner is not None
    return owner


async def write_notice(
    identity: IdentityFixture,
    bounded: EmailOutbox,
    kind: EmailKind,
    owner: PasswordAccount,
    times: int = 1,
) -> None:
    for _ in range(times):
        async with identity.uow.begin(CONTEXT) as tx:
            await bounded.notify(tx, kind, owner)


async def request_email(
    identity: IdentityFixture,
    bounded: EmailOutbox,
    kind: EmailKind,
    owner: PasswordAccount | None,
    subject: str,
) -> None:
    account_id, address = (None, None) if owner is None else (owner.id, owner.email)
    async with identity.uow.begin(CONTEXT) as tx:
        await bounded.enqueue(tx, kind, account_id, address, subject=subject)


@pytest.mark.parametrize("kind", NOTICES)
async def test_e10_a_notice_is_not_counted_with_what_is_asked_for(
    identity: IdentityFixture, bounded: EmailOutbox, kind: EmailKind
) -> None:
    owner = await owner_of(identity, (await identity.register()).id)
    for asked in ASKED_FOR:
        for _ in range(4):
            await request_email(identity, bounded, asked, owner, ADA)
    await write_notice(identity, bounded, kind, owner)
    assert (await written(identity))[-1] == (kind, "false")


@pytest.mark.parametrize("kind", NOTICES)
async def test_e10_notices_of_one_kind_are_bounded_and_silence_no_other_kind(
    identity: IdentityFixture, bounded: EmailOutbox, kind: EmailKind
) -> None:
    owner = await owner_of(identity, (await identity.register()).id)
    await write_notice(identity, bounded, kind, owner, NOTICES_PER_HOUR + 3)
    assert await written(identity) == [(kind, "false")] * NOTICES_PER_HOUR
    for other in NOTICES:
        await write_notice(identity, bounded, other, owner)
    others = [(other, "false") for other in NOTICES if other is not kind]
    assert (await written(identity))[NOTICES_PER_HOUR:] == others


@pytest.mark.parametrize("kind", NOTICES)
async def test_e10_who_held_an_address_before_spends_no_notice_of_its_proved_owner(
    identity: IdentityFixture, bounded: EmailOutbox, kind: EmailKind
) -> None:
    before = await owner_of(identity, (await identity.register()).id)
    await write_notice(identity, bounded, kind, before, NOTICES_PER_HOUR + 1)
    other = await identity.register(email="bob@example.com", identifier_value="CN731731C")
    now = msgspec.structs.replace(before, id=other.id, email_confirmed_at=CONFIRMED_AT)
    await write_notice(identity, bounded, kind, now)
    assert await written(identity) == [(kind, "false")] * (NOTICES_PER_HOUR + 1)


@pytest.mark.parametrize("address", [ADA, "ADA@example.com", "Ada@Example.com"])
async def test_e10_who_begins_again_with_an_unproved_address_does_not_flood_it(
    identity: IdentityFixture, bounded: EmailOutbox, address: str
) -> None:
    first = await owner_of(identity, (await identity.register()).id)
    await write_notice(identity, bounded, EmailKind.ACCOUNT_CLOSED, first, NOTICES_PER_HOUR)
    other = await identity.register(email="bob@example.com", identifier_value="CN731731C")
    again = msgspec.structs.replace(first, id=other.id, email=address)
    await write_notice(identity, bounded, EmailKind.ACCOUNT_CLOSED, again)
    assert len(await written(identity)) == NOTICES_PER_HOUR


@pytest.mark.parametrize("kind", ASKED_FOR)
async def test_e9_what_is_asked_for_is_held_back_alike_with_and_without_an_account(
    identity: IdentityFixture, bounded: EmailOutbox, kind: EmailKind
) -> None:
    owner = await owner_of(identity, (await identity.register()).id)
    for _ in range(3):
        await request_email(identity, bounded, kind, owner, ADA)
        await request_email(identity, bounded, kind, None, "nobody@example.com")
    assert await written(identity) == [(kind, "false")] * 4 + [(kind, "true")] * 2


@pytest.mark.parametrize("kind", ASKED_FOR)
async def test_e10_each_kind_that_is_asked_for_has_a_count_of_its_own(
    identity: IdentityFixture, bounded: EmailOutbox, kind: EmailKind
) -> None:
    owner = await owner_of(identity, (await identity.register()).id)
    for other in ASKED_FOR:
        await request_email(identity, bounded, other, owner, ADA)
        await request_email(identity, bounded, other, owner, ADA)
    await request_email(identity, bounded, kind, owner, ADA)
    assert [state for _, state in await written(identity)] == ["false"] * 6 + ["true"]


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        (EmailKind.RESET, ADA),
        (EmailKind.EMAIL_CONFIRMATION, ADA),
        (EmailKind.EMAIL_CHANGE, NEW),
    ],
)
async def test_e9_an_email_that_is_held_back_leaves_the_row_of_its_link_and_no_mail(
    emails: EmailFixture, database: Database, kind: EmailKind, address: str
) -> None:
    view = await emails.identity.register()
    await emails.deliver(await emails.write(kind, view.id, address), is_held_back=True)
    assert emails.transport.mails == []
    assert await database.reads.fetchval("SELECT array_agg(address) FROM identity.link") == [
        address
    ]
    assert await emails.identity.count("identity.letter") == 0


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_e9_a_mail_that_is_tried_again_does_not_change_when_its_link_was_issued(
    emails: EmailFixture, database: Database, times: int
) -> None:
    view = await emails.identity.register()
    letter_id = await emails.write(EmailKind.EMAIL_CHANGE, view.id, NEW)
    emails.transport.failure = Outage("mail")
    with pytest.raises(Outage):
        await emails.deliver(letter_id)
    before = await database.reads.fetchrow("SELECT * FROM identity.link")
    for _ in range(times):
        with pytest.raises(Outage):
            await emails.deliver(letter_id)
    after = await database.reads.fetchrow("SELECT * FROM identity.link")
    assert after["issued_at"] == before["issued_at"]
    assert after["expires_at"] > before["expires_at"]
    assert after["hash"] != before["hash"]

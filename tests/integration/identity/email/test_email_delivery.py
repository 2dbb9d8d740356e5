"""An e-mail is sent at least once, and its token is nowhere but in the e-mail (ADR-0015)."""

import asyncio
import hashlib
import re
from uuid import UUID, uuid4

import pytest

from govid.bus import Outage
from govid.identity.email.transports import AddressRefused
from govid.identity.life_event_kinds import LifeEventKind
from govid.identity.repository.accounts import PasswordAccountRepository
from govid.identity.repository.one_time_tokens import OneTimeTokens
from govid.identity.repository.outgoing_email import EmailKind
from tests.integration.identity.conftest import CONTEXT
from tests.integration.identity.email.conftest import EmailFixture
from tests.integration.identity.life_events.test_event_time import OPS

ADA, NEW = "ada@example.com", "new@example.com"
OFFERS = [
    (EmailKind.RESET, ADA),
    (EmailKind.EMAIL_CONFIRMATION, ADA),
    (EmailKind.EMAIL_CHANGE, NEW),
]
WAITING = """
    SELECT EXISTS (SELECT FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock')
"""
LINK = re.compile(r"https://govid\.example(/[a-z/]+)\?token=([A-Za-z0-9_-]{43})\s")


async def hashes(emails: EmailFixture) -> set[bytes]:
    rows = await emails.identity.database.reads.fetch("SELECT hash FROM identity.link")
    return {row["hash"] for row in rows}


async def waits_for_a_lock(emails: EmailFixture) -> None:
    async with asyncio.timeout(10):
        while not await emails.identity.database.reads.fetchval(WAITING):
            await asyncio.sleep(0.01)


def links(emails: EmailFixture) -> list[tuple[str, str]]:
    return [found for mail in emails.transport.mails for found in LINK.findall(mail.text)]


def digests(emails: EmailFixture) -> set[bytes]:
    return {hashlib.sha256(token.encode()).digest() for _, token in links(emails)}


@pytest.mark.parametrize(
    ("kind", "page"),
    [
        (EmailKind.RESET, "/reset"),
        (EmailKind.EMAIL_CONFIRMATION, "/account/confirm"),
        (EmailKind.EMAIL_CHANGE, "/account/confirm"),
    ],
)
async def test_an_email_leaves_with_a_link_whose_digest_is_kept(
    emails: EmailFixture, kind: EmailKind, page: str
) -> None:
    view = await emails.identity.register()
    address = "new@example.com" if kind is EmailKind.EMAIL_CHANGE else ADA
    await emails.deliver(await emails.write(kind, view.id, address))
    assert [mail.to for mail in emails.transport.mails] == [address]
    assert [path for path, _ in links(emails)] == [page]
    assert await hashes(emails) == digests(emails)
    assert await emails.identity.count("identity.letter") == 0


async def test_an_email_and_its_cause_commit_together_or_not_at_all(emails: EmailFixture) -> None:
    view = await emails.identity.register()
    with pytest.raises(ZeroDivisionError):
        async with emails.identity.uow.begin(CONTEXT) as tx:
            await emails.outgoing.enqueue(tx, EmailKind.RESET, view.id, ADA, subject=ADA)
            raise ZeroDivisionError
    assert await emails.identity.count("identity.letter") == 0
    assert "identity.letter.written" not in await emails.identity.events()


async def test_a_mail_that_could_not_leave_waits_and_leaves_later(emails: EmailFixture) -> None:
    view = await emails.identity.register()
    letter_id = await emails.write(EmailKind.RESET, view.id, ADA)
    emails.transport.failure = Outage("mail")
    with pytest.raises(Outage):
        await emails.deliver(letter_id)
    assert await emails.identity.count("identity.letter") == 1
    emails.transport.failure = None
    await emails.deliver(letter_id)
    assert len(emails.transport.mails) == 1
    assert digests(emails) <= await hashes(emails)
    assert await emails.identity.count("identity.letter") == 0


async def test_who_dies_after_sending_sends_again_and_every_copy_has_a_good_link(
    emails: EmailFixture,
) -> None:
    view = await emails.identity.register()
    letter_id = await emails.write(EmailKind.RESET, view.id, ADA)
    await emails.sender.prepare(emails.delivery(letter_id))
    await emails.deliver(letter_id)
    first, second = emails.transport.mails
    assert first.id == second.id
    assert len(digests(emails)) == 2
    assert await hashes(emails) == digests(emails)


async def test_a_delivered_email_that_comes_again_is_nothing(emails: EmailFixture) -> None:
    view = await emails.identity.register()
    letter_id = await emails.write(EmailKind.RESET, view.id, ADA)
    await emails.deliver(letter_id)
    await emails.deliver(letter_id)
    assert len(emails.transport.mails) == 1


async def test_an_address_that_takes_no_mail_ends_the_email(
    emails: EmailFixture, caplog: pytest.LogCaptureFixture
) -> None:
    view = await emails.identity.register()
    letter_id = await emails.write(EmailKind.RESET, view.id, ADA)
    emails.transport.failure = AddressRefused()
    await emails.deliver(letter_id)
    assert await emails.identity.count("identity.letter") == 0
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "mail.refused"
    ]
    assert ADA not in caplog.text


@pytest.mark.parametrize("letter_id", [UUID(int=7), uuid4()])
async def test_an_email_that_is_not_there_is_nothing(emails: EmailFixture, letter_id: UUID) -> None:
    await emails.deliver(letter_id)
    assert emails.transport.mails == []


async def test_an_email_without_recipient_goes_nowhere_and_is_forgotten(
    emails: EmailFixture,
) -> None:
    await emails.deliver(await emails.write(EmailKind.RESET, None, None))
    assert emails.transport.mails == []
    assert await emails.identity.count("identity.letter") == 0


@pytest.mark.parametrize("kind", [EmailKind.RESET, EmailKind.EMAIL_CONFIRMATION])
async def test_who_was_blocked_meanwhile_gets_no_link(
    emails: EmailFixture, kind: EmailKind
) -> None:
    view = await emails.identity.register()
    letter_id = await emails.write(kind, view.id, ADA)
    await emails.identity.set_columns(view.id, status="blocked", status_before="verified")
    await emails.deliver(letter_id)
    assert emails.transport.mails == []
    assert await hashes(emails) == set()


@pytest.mark.parametrize(("kind", "address"), OFFERS)
async def test_r12_an_email_from_before_a_block_brings_no_link_after_it(
    emails: EmailFixture, kind: EmailKind, address: str
) -> None:
    view = await emails.identity.register()
    letter_id = await emails.write(kind, view.id, address)
    await emails.identity.administration.change_status(
        LifeEventKind.BLOCK, view.id, reason="a test", context=OPS
    )
    await emails.identity.administration.change_status(
        LifeEventKind.RESTORE, view.id, reason="a test", context=OPS
    )
    await emails.deliver(letter_id)
    assert emails.transport.mails == []
    assert await hashes(emails) == set()


async def test_r12_an_email_that_is_taken_back_at_the_last_moment_brings_no_link(
    emails: EmailFixture,
) -> None:
    view = await emails.identity.register()
    letter_id = await emails.write(EmailKind.EMAIL_CHANGE, view.id, NEW)
    async with emails.identity.uow.begin(CONTEXT) as tx:
        await PasswordAccountRepository().lock(tx, view.id, write=True)
        delivering = asyncio.create_task(emails.deliver(letter_id))
        await waits_for_a_lock(emails)
        await emails.outgoing.delete_emails_with_links(tx, view.id)
    await delivering
    assert emails.transport.mails == []
    assert await hashes(emails) == set()


async def test_what_is_reported_is_not_taken_back(emails: EmailFixture) -> None:
    view = await emails.identity.register()
    letter_id = await emails.write(EmailKind.PASSWORD_CHANGED, view.id, ADA)
    async with emails.identity.uow.begin(CONTEXT) as tx:
        await emails.outgoing.delete_emails_with_links(tx, view.id)
    await emails.deliver(letter_id)
    assert len(emails.transport.mails) == 1


async def test_an_address_that_was_given_up_gets_no_link(emails: EmailFixture) -> None:
    view = await emails.identity.register()
    letter_id = await emails.write(EmailKind.RESET, view.id, ADA)
    await emails.identity.set_columns(
        view.id, email="b@example.com", email_canonical="b@example.com"
    )
    await emails.deliver(letter_id)
    assert emails.transport.mails == []


async def test_what_has_happened_is_reported_without_a_link(emails: EmailFixture) -> None:
    view = await emails.identity.register()
    await emails.deliver(await emails.write(EmailKind.PASSWORD_CHANGED, view.id, ADA))
    (mail,) = emails.transport.mails
    assert "token" not in mail.text
    assert ADA not in repr(mail)
    assert await hashes(emails) == set()


async def test_links_whose_time_is_over_are_forgotten_in_batches(emails: EmailFixture) -> None:
    view = await emails.identity.register()
    for _ in range(3):
        await emails.deliver(await emails.write(EmailKind.RESET, view.id, ADA))
    await emails.identity.database.reads.execute(
        "UPDATE identity.link SET issued_at = '2026-01-01', expires_at = '2026-01-02'"
        " WHERE hash <> (SELECT hash FROM identity.link LIMIT 1)"
    )
    async with emails.identity.uow.begin(CONTEXT) as tx:
        assert [
            await OneTimeTokens().delete_expired(tx, 1),
            await OneTimeTokens().delete_expired(tx, 5),
        ] == [1, 1]
    assert len(await hashes(emails)) == 1

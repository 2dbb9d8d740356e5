"""A letter leaves at least once, and its token is nowhere but in the mail (ADR-0015)."""

import asyncio
import hashlib
import re
from uuid import UUID, uuid4

import pytest

from govid.bus import Outage
from govid.identity.life_event_kinds import Kind
from govid.identity.mail.port import AddressRefused
from govid.identity.repository.letters import LetterKind
from govid.identity.repository.links import Links
from govid.identity.repository.owners import Owners
from tests.integration.identity.accounts.test_event_time import OPS
from tests.integration.identity.conftest import CAUSE
from tests.integration.identity.mail.conftest import Office

ADA, NEW = "ada@example.com", "new@example.com"
OFFERS = [
    (LetterKind.RESET, ADA),
    (LetterKind.EMAIL_CONFIRMATION, ADA),
    (LetterKind.EMAIL_CHANGE, NEW),
]
WAITING = """
    SELECT EXISTS (SELECT FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock')
"""
LINK = re.compile(r"https://govid\.example(/[a-z/]+)\?token=([A-Za-z0-9_-]{43})\s")


async def hashes(office: Office) -> set[bytes]:
    rows = await office.identity.database.reads.fetch("SELECT hash FROM identity.link")
    return {row["hash"] for row in rows}


async def waits_for_a_lock(office: Office) -> None:
    async with asyncio.timeout(10):
        while not await office.identity.database.reads.fetchval(WAITING):
            await asyncio.sleep(0.01)


def links(office: Office) -> list[tuple[str, str]]:
    return [found for mail in office.tray.mails for found in LINK.findall(mail.text)]


def digests(office: Office) -> set[bytes]:
    return {hashlib.sha256(token.encode()).digest() for _, token in links(office)}


@pytest.mark.parametrize(
    ("kind", "page"),
    [
        (LetterKind.RESET, "/reset"),
        (LetterKind.EMAIL_CONFIRMATION, "/account/confirm"),
        (LetterKind.EMAIL_CHANGE, "/account/confirm"),
    ],
)
async def test_a_letter_leaves_with_a_link_whose_digest_is_kept(
    office: Office, kind: LetterKind, page: str
) -> None:
    view = await office.identity.register()
    address = "new@example.com" if kind is LetterKind.EMAIL_CHANGE else ADA
    await office.deliver(await office.write(kind, view.id, address))
    assert [mail.to for mail in office.tray.mails] == [address]
    assert [path for path, _ in links(office)] == [page]
    assert await hashes(office) == digests(office)
    assert await office.identity.count("identity.letter") == 0


async def test_a_letter_and_its_cause_commit_together_or_not_at_all(office: Office) -> None:
    view = await office.identity.register()
    with pytest.raises(ZeroDivisionError):
        async with office.identity.uow.begin(CAUSE) as tx:
            await office.correspondence.ask(tx, LetterKind.RESET, view.id, ADA, subject=ADA)
            raise ZeroDivisionError
    assert await office.identity.count("identity.letter") == 0
    assert "identity.letter.written" not in await office.identity.events()


async def test_a_mail_that_could_not_leave_waits_and_leaves_later(office: Office) -> None:
    view = await office.identity.register()
    letter_id = await office.write(LetterKind.RESET, view.id, ADA)
    office.tray.failure = Outage("mail")
    with pytest.raises(Outage):
        await office.deliver(letter_id)
    assert await office.identity.count("identity.letter") == 1
    office.tray.failure = None
    await office.deliver(letter_id)
    assert len(office.tray.mails) == 1
    assert digests(office) <= await hashes(office)
    assert await office.identity.count("identity.letter") == 0


async def test_who_dies_after_sending_sends_again_and_every_copy_has_a_good_link(
    office: Office,
) -> None:
    view = await office.identity.register()
    letter_id = await office.write(LetterKind.RESET, view.id, ADA)
    await office.postman.prepare(office.delivery(letter_id))
    await office.deliver(letter_id)
    first, second = office.tray.mails
    assert first.id == second.id
    assert len(digests(office)) == 2
    assert await hashes(office) == digests(office)


async def test_a_delivered_letter_that_comes_again_is_nothing(office: Office) -> None:
    view = await office.identity.register()
    letter_id = await office.write(LetterKind.RESET, view.id, ADA)
    await office.deliver(letter_id)
    await office.deliver(letter_id)
    assert len(office.tray.mails) == 1


async def test_an_address_that_takes_no_mail_ends_the_letter(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    view = await office.identity.register()
    letter_id = await office.write(LetterKind.RESET, view.id, ADA)
    office.tray.failure = AddressRefused()
    await office.deliver(letter_id)
    assert await office.identity.count("identity.letter") == 0
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "mail.refused"
    ]
    assert ADA not in caplog.text


@pytest.mark.parametrize("letter_id", [UUID(int=7), uuid4()])
async def test_a_letter_that_is_not_there_is_nothing(office: Office, letter_id: UUID) -> None:
    await office.deliver(letter_id)
    assert office.tray.mails == []


async def test_a_letter_to_nobody_goes_nowhere_and_is_forgotten(office: Office) -> None:
    await office.deliver(await office.write(LetterKind.RESET, None, None))
    assert office.tray.mails == []
    assert await office.identity.count("identity.letter") == 0


@pytest.mark.parametrize("kind", [LetterKind.RESET, LetterKind.EMAIL_CONFIRMATION])
async def test_who_was_blocked_meanwhile_gets_no_link(office: Office, kind: LetterKind) -> None:
    view = await office.identity.register()
    letter_id = await office.write(kind, view.id, ADA)
    await office.identity.set(view.id, status="blocked", status_before="verified")
    await office.deliver(letter_id)
    assert office.tray.mails == []
    assert await hashes(office) == set()


@pytest.mark.parametrize(("kind", "address"), OFFERS)
async def test_r12_a_letter_from_before_a_block_brings_no_link_after_it(
    office: Office, kind: LetterKind, address: str
) -> None:
    view = await office.identity.register()
    letter_id = await office.write(kind, view.id, address)
    await office.identity.desk.act(Kind.BLOCK, view.id, reason="a test", cause=OPS)
    await office.identity.desk.act(Kind.RESTORE, view.id, reason="a test", cause=OPS)
    await office.deliver(letter_id)
    assert office.tray.mails == []
    assert await hashes(office) == set()


async def test_r12_a_letter_that_is_taken_back_at_the_last_moment_brings_no_link(
    office: Office,
) -> None:
    view = await office.identity.register()
    letter_id = await office.write(LetterKind.EMAIL_CHANGE, view.id, NEW)
    async with office.identity.uow.begin(CAUSE) as tx:
        await Owners().lock(tx, view.id, write=True)
        delivering = asyncio.create_task(office.deliver(letter_id))
        await waits_for_a_lock(office)
        await office.correspondence.take_back(tx, view.id)
    await delivering
    assert office.tray.mails == []
    assert await hashes(office) == set()


async def test_what_is_told_is_not_taken_back(office: Office) -> None:
    view = await office.identity.register()
    letter_id = await office.write(LetterKind.PASSWORD_CHANGED, view.id, ADA)
    async with office.identity.uow.begin(CAUSE) as tx:
        await office.correspondence.take_back(tx, view.id)
    await office.deliver(letter_id)
    assert len(office.tray.mails) == 1


async def test_an_address_that_was_given_up_gets_no_link(office: Office) -> None:
    view = await office.identity.register()
    letter_id = await office.write(LetterKind.RESET, view.id, ADA)
    await office.identity.set(view.id, email="b@example.com", email_canonical="b@example.com")
    await office.deliver(letter_id)
    assert office.tray.mails == []


async def test_what_has_happened_is_told_without_a_link(office: Office) -> None:
    view = await office.identity.register()
    await office.deliver(await office.write(LetterKind.PASSWORD_CHANGED, view.id, ADA))
    (mail,) = office.tray.mails
    assert "token" not in mail.text
    assert ADA not in repr(mail)
    assert await hashes(office) == set()


async def test_links_whose_time_is_over_are_forgotten_in_batches(office: Office) -> None:
    view = await office.identity.register()
    for _ in range(3):
        await office.deliver(await office.write(LetterKind.RESET, view.id, ADA))
    await office.identity.database.reads.execute(
        "UPDATE identity.link SET issued_at = '2026-01-01', expires_at = '2026-01-02'"
        " WHERE hash <> (SELECT hash FROM identity.link LIMIT 1)"
    )
    async with office.identity.uow.begin(CAUSE) as tx:
        assert [await Links().purge(tx, 1), await Links().purge(tx, 5)] == [1, 1]
    assert len(await hashes(office)) == 1

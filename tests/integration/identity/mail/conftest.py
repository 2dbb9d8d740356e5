"""A postman on a real database, with a mailer that does as it is told."""

from typing import Any
from uuid import UUID

import msgspec
import pytest

from govid.bus import Database, Pseudonyms, Quotas
from govid.bus.contracts import LetterWritten
from govid.identity.mail.correspondence import Correspondence
from govid.identity.mail.port import Mail
from govid.identity.mail.postman import Postman
from govid.identity.repository.letters import LetterKind, Letters
from govid.identity.repository.links import Links
from govid.identity.repository.owners import Owners
from tests.integration.identity.conftest import CAUSE, SETTINGS, Parts, delivered


class Tray:
    """A mailer that keeps what it gets, unless it is told to fail."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.failure: Exception | None = None

    async def send(self, mail: Mail) -> None:
        if self.failure is not None:
            raise self.failure
        self.mails.append(mail)


class Office(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a letter passes."""

    identity: Parts
    tray: Tray
    postman: Postman
    correspondence: Correspondence

    async def write(self, kind: LetterKind, account_id: UUID | None, address: str | None) -> UUID:
        async with self.identity.uow.begin(CAUSE) as tx:
            return await self.correspondence.ask(
                tx, kind, account_id, address, subject=(address or "").lower()
            )

    def delivery(self, letter_id: UUID, *, is_held_back: bool = False) -> Any:
        event = LetterWritten(
            letter_id=letter_id,
            kind="reset",
            is_held_back=is_held_back,
            timestamp=msgspec.UNSET,  # type: ignore[arg-type]  # nobody reads it
        )
        return delivered(event)

    async def deliver(self, letter_id: UUID, *, is_held_back: bool = False) -> None:
        """Do what the dispatcher does with one delivery."""
        delivery = self.delivery(letter_id, is_held_back=is_held_back)
        await self.postman.prepare(delivery)
        async with self.identity.uow.begin(CAUSE) as tx:
            await self.postman.apply(tx, delivery, None)


@pytest.fixture
async def emails(identity: Parts, database: Database) -> Office:
    """Return an office on the test's database."""
    letters, tray = Letters(), Tray()
    return Office(
        identity=identity,
        tray=tray,
        postman=Postman(identity.uow, letters, Links(), Owners(), tray, SETTINGS),
        correspondence=Correspondence(
            letters,
            Quotas("identity.quota"),
            Pseudonyms(b"k" * 32),
            is_open=True,
            most_per_hour=0,
        ),
    )

"""Reads the e-mails of a server whose `GOVID_MAIL` is a folder."""

import asyncio
import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import cast

from govid.gateway.settings import Settings

DEADLINE_SECONDS = 10


class Mailbox:
    """The mails of one server."""

    def __init__(self, settings: Settings) -> None:
        folder = settings.identity.mail.folder
        assert folder is not None
        self.folder: Path = folder

    def mails(self, to: str) -> list[EmailMessage]:
        """Return all mails to this address, in order of writing."""
        found = [
            cast("EmailMessage", message_from_bytes(file.read_bytes(), policy=default))
            for file in sorted(self.folder.glob("*.eml"))
        ]
        return [mail for mail in found if mail["To"] == to]

    async def mail(self, to: str, subject: str, number: int = 1) -> str:
        """Wait for the *number*th mail of this *subject* and return its text."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while len(found := [m for m in self.mails(to) if m["Subject"] == subject]) < number:
                await asyncio.sleep(0.02)
        return str(found[number - 1].get_content())

    async def token(self, to: str, subject: str, number: int = 1) -> str:
        """Wait for that mail and return the token in its link."""
        found = re.search(r"\?token=([A-Za-z0-9_-]{43})\s", await self.mail(to, subject, number))
        assert found is not None
        return found[1]

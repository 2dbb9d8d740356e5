"""Writes e-mails into a folder instead of sending them, for development and tests."""

import asyncio
import os
from pathlib import Path

from govid.bus import Outage
from govid.identity.mail.port import EMAIL_DEPENDENCY, EmailMessage, MessageBuilder


class FolderTransport:
    """Writes each e-mail to its own file, `<id>.eml`; a repeated send replaces the file."""

    accepts_unicode = True

    def __init__(self, folder: Path, builder: MessageBuilder) -> None:
        """Use *folder*, which is created with the first e-mail."""
        self._folder = folder
        self._builder = builder

    async def send(self, message: EmailMessage) -> None:
        """Write the file, readable by its owner only.

        A full disk or a folder that cannot be written is an outage: the e-mail is retried.
        """
        content = bytes(self._builder.build(message))
        try:
            await asyncio.to_thread(self._write_file, f"{message.id}.eml", content)
        except OSError:
            raise Outage(EMAIL_DEPENDENCY) from None

    def _write_file(self, name: str, content: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._folder / f"{name}.part"
        # Written under another name and renamed, so that a reader never sees half an e-mail.
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
        draft.replace(self._folder / name)

"""Mail that goes no further than a folder of this machine: for development and tests."""

import asyncio
import os
from pathlib import Path

from govid.bus import Outage
from govid.identity.mail.port import DEPENDENCY, Mail, Writer


class FolderMailer:
    """Puts each mail into a file of its own, `<id>.eml`; sent again it replaces itself."""

    takes_unicode = True

    def __init__(self, folder: Path, writer: Writer) -> None:
        """Use *folder*, which is made when the first mail comes."""
        self._folder = folder
        self._writer = writer

    async def send(self, mail: Mail) -> None:
        """Write the file, for the eyes of its owner only.

        A full disk or a folder that cannot be written is an outage: the mail waits.
        """
        content = bytes(self._writer.write(mail))
        try:
            await asyncio.to_thread(self._put, f"{mail.id}.eml", content)
        except OSError:
            raise Outage(DEPENDENCY) from None

    def _put(self, name: str, content: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._folder / f"{name}.part"
        # Under another name until it is whole: whoever looks into the folder sees no half mail.
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(content)
        draft.replace(self._folder / name)

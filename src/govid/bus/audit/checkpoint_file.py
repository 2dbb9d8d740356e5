"""The file with the newest checkpoint: read before the first one is signed, replaced atomically.

It is best on a disk that the administrators of the database cannot write to: then it reveals a log
that was shortened or rewritten.
"""

import asyncio
import os
import stat
from pathlib import Path
from typing import BinaryIO

from govid.bus.audit.signed_notes import InvalidNote
from govid.bus.shared.ids import uuid7

MAX_FILE_BYTES = 65_536


class InvalidCheckpointFile(Exception):
    """The path names no regular file."""


class CheckpointFile:
    """One file with one signed note."""

    def __init__(self, path: Path) -> None:
        """Use *path*; nothing is read or created yet."""
        self._path = path

    async def read(self) -> str | None:
        """Return the note, None if there is no file or it is empty.

        Raises:
            OSError: the file cannot be read.
            InvalidCheckpointFile: it is no regular file.
            InvalidNote: it is too large for a checkpoint, or not UTF-8.
        """
        return await asyncio.to_thread(read_note_file, self._path)

    async def write(self, note: str) -> None:
        """Replace the content by *note*: a reader sees either the former or the new one.

        Raises:
            OSError: the file or its folder cannot be written.
            InvalidCheckpointFile: the path names something other than a regular file.
        """
        await asyncio.to_thread(self._replace, note)

    def _replace(self, note: str) -> None:
        if self._path.exists() and not self._path.is_file():
            raise InvalidCheckpointFile
        # A name of its own: several processes may write the file, one after the other.
        draft = self._path.with_name(f".{self._path.name}.{uuid7()}.new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
            handle.write(note)
            handle.flush()
            os.fsync(handle.fileno())
        try:
            draft.replace(self._path)
        finally:
            draft.unlink(missing_ok=True)


def open_regular_file(path: Path) -> BinaryIO:
    """Open the regular file at *path* for reading, without waiting for a pipe or a device.

    Raises:
        OSError: the file cannot be opened.
        InvalidCheckpointFile: it is no regular file.
    """
    handle = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb")
    if not stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
        handle.close()
        raise InvalidCheckpointFile
    return handle


def read_note_file(path: Path) -> str | None:
    """Return the text of the regular file at *path*, None if it is missing or empty.

    Raises:
        OSError: the file cannot be read.
        InvalidCheckpointFile: it is no regular file.
        InvalidNote: it is too large for a checkpoint, or not UTF-8.
    """
    try:
        handle = open_regular_file(path)
    except FileNotFoundError:
        return None
    with handle:
        content = handle.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise InvalidNote("the file is too large")
    try:
        return content.decode() or None
    except UnicodeDecodeError:
        raise InvalidNote("the file is not UTF-8") from None

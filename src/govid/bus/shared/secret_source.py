"""A secret that is given as a value or as a file, which may be replaced while govid runs."""

from pathlib import Path

from govid.bus.shared.privacy import RedactedStruct


class SecretSource(RedactedStruct, frozen=True, kw_only=True):
    """Where a secret is read. Without a file it is `value`, which never changes."""

    value: str = ""
    file: Path | None = None

    def read(self) -> str:
        """Return the secret as it is now, without line ends after it.

        Raises:
            OSError: the file cannot be read, or is not UTF-8.
        """
        if self.file is None:
            return self.value
        if not self.file.is_file():
            # A pipe would be waited for, without a limit.
            raise OSError("there is no such file")
        try:
            return self.file.read_text("utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            # Without the cause: its message would quote the secret.
            raise OSError("the file is not UTF-8") from None

    @property
    def is_given(self) -> bool:
        """Whether there is a value or a file."""
        return bool(self.value) or self.file is not None


class WatchedSecret:
    """The last usable value of a secret. Another thread calls `refresh` from time to time."""

    def __init__(self, source: SecretSource) -> None:
        """Read nothing before `read`."""
        self._source = source
        self._value: str | None = None
        self._candidate: str | None = None

    def read(self) -> str:
        """Return the value, without a look at the file once it has been read.

        Raises:
            OSError: the file cannot be read, and never could be.
        """
        if self._value is None:
            self._value = self._source.read()
        return self._value

    def refresh(self) -> None:
        """Read the file again; a new value counts once two reads in succession have found it.

        An empty file, and one that cannot be read, is one that is being written.
        """
        try:
            found = self._source.read()
        except OSError:
            return
        if found and found == self._candidate:
            self._value = found
        self._candidate = found

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
        try:
            return self.file.read_text("utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            # Without the cause: its message would quote the secret.
            raise OSError("the file is not UTF-8") from None

    @property
    def is_given(self) -> bool:
        """Whether there is a value or a file."""
        return bool(self.value) or self.file is not None

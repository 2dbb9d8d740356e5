"""Why `govid dev` cannot start."""


class CannotStart(Exception):
    """Something on this machine is in the way. `remedy` says what its owner can do about it."""

    def __init__(self, message: str, remedy: str) -> None:
        """Say what is in the way, in one sentence, and what helps."""
        super().__init__(message)
        self.message = message
        self.remedy = remedy

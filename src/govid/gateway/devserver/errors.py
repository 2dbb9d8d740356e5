"""The error that prevents `govid dev` from starting."""


class CannotStart(Exception):
    """This machine prevents a start of `govid dev`; `remedy` says how to solve the problem."""

    def __init__(self, message: str, remedy: str) -> None:
        """Give the reason in one sentence, and the remedy."""
        super().__init__(message)
        self.message = message
        self.remedy = remedy

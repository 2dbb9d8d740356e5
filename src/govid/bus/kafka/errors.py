"""Reasons why no connection to Kafka is possible, on govid's own side."""

from aiokafka.errors import KafkaConnectionError


class TlsFilesInvalid(OSError):
    """The certificate files cannot be used. The text names the setting and the reason."""


class TokenUnavailable(KafkaConnectionError):  # type: ignore[misc]  # no types
    """No access token for Kafka is available. `reason` is a clause for a sentence."""

    def __init__(self, reason: str) -> None:
        """Fail because of *reason*, a constant of the code."""
        super().__init__(reason)
        self.reason = reason


class OpeningTimeout(TimeoutError):
    """A connection was not opened in time. If a later answer is late, the error is another one."""

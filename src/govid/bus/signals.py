"""Short words between processes, outside of any transaction: heard at once, or not at all.

For what makes something faster and is right without it. A word is said on the connection by which
workers are woken; whoever listens has a connection of their own, and says a word to themselves
each second: one that does not come back means that others' words may not come either.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import asyncpg

from govid.bus.database import KEEPALIVES, dsn
from govid.bus.retry import DATABASE_AWAY

log = logging.getLogger(__name__)

ECHO_SECONDS = 1.0
DEAF_SECONDS = 2.0
"""How long an echo may take before nothing is believed to be heard any more."""
KEPT_WORDS = 10_000
_ECHO = "echo:"


class Signals:
    """What this process has to say to the others, and its ears."""

    def __init__(self, database_url: str) -> None:
        """Speak and listen through the database at *database_url*."""
        self._url = database_url
        self._words: deque[tuple[str, str]] = deque(maxlen=KEPT_WORDS)
        self._speak: Callable[[], None] = lambda: None

    def say(self, channel: str, word: str) -> None:
        """Say *word* on *channel*, soon; it is lost if the database is away for long."""
        self._words.append((channel, word))
        self._speak()

    def on_words(self, speak: Callable[[], None]) -> None:
        """Call *speak* whenever there is something to say."""
        self._speak = speak

    def take(self) -> list[tuple[str, str]]:
        """Return what is to be said, with its channels, and forget it."""
        words = list(self._words)
        self._words.clear()
        return words

    def ear(self, channel: str, heard: Callable[[str], None], lost: Callable[[], None]) -> "Ear":
        """Return an ear for *channel*."""
        return Ear(self._url, channel, heard, lost)


class Ear:
    """Hears what is said on one channel, and knows whether it hears."""

    def __init__(
        self,
        database_url: str,
        channel: str,
        heard: Callable[[str], None],
        lost: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Call *heard* with each word, and *lost* whenever words may have been missed."""
        self._url = database_url
        self._channel = channel
        self._heard = heard
        self._lost = lost
        self._clock = clock
        self._me = f"{_ECHO}{uuid4()}"
        self._echoed_at = float("-inf")

    @property
    def hears(self) -> bool:
        """Whether what is said now would be heard, as far as anybody can know."""
        return self._clock() - self._echoed_at < DEAF_SECONDS

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            try:
                await self._listen()
            except DATABASE_AWAY as error:
                log.warning("signals.deaf", extra={"error_class": type(error).__name__})
                await asyncio.sleep(ECHO_SECONDS)

    async def _listen(self) -> None:
        connection: Any = await asyncpg.connect(
            dsn(self._url),
            timeout=5,
            command_timeout=DEAF_SECONDS,
            server_settings={"application_name": "govid ear", **KEEPALIVES},
        )
        connection.add_termination_listener(self._deafen)
        try:
            await connection.add_listener(self._channel, self._hear)
            # What was said while nobody listened is lost.
            self._lost()
            while True:
                await connection.execute("SELECT pg_notify($1, $2)", self._channel, self._me)
                await asyncio.sleep(ECHO_SECONDS)
        finally:
            connection.terminate()
            self._deafen()

    def _hear(self, _connection: object, _pid: int, _channel: str, word: str) -> None:
        if word == self._me:
            self._echoed_at = self._clock()
        elif not word.startswith(_ECHO):
            self._heard(word)

    def _deafen(self, _connection: object = None) -> None:
        self._echoed_at = float("-inf")
        self._lost()

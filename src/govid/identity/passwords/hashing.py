"""Password hashes: argon2id, in threads, and never more at once than the machine can take.

A hash is made to be expensive. Without a bound, a crowd that signs in would take the processor
from everybody who already has.

Source: OWASP ASVS 5.0, appendix C; RFC 9106.
"""

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError

from govid.identity.errors import SignInBusy
from govid.identity.passwords.metrics import HashMetrics
from govid.identity.passwords.policy import PASSWORD_MAX_LENGTH, normal
from govid.identity.passwords.turns import Asker, NoRoom, Turns
from govid.identity.settings import IdentitySettings

LEAST_MEMORY_KIB = {1: 47104, 2: 19456, 3: 12288}
"""The least memory for each number of passes; more than three passes need no less than three."""
MAX_WAITERS = 64
WAIT_SECONDS = 5.0
HASH_BYTES = 32
SALT_BYTES = 16
NICENESS = 5
"""By how much a hash steps back. Measured on one core under full load: requests keep three
quarters of it, and sign-ins still get through."""
LEAST_PRIORITY = 19

T = TypeVar("T")


class Passwords:
    """Hashes and verifies passwords."""

    def __init__(
        self,
        settings: IdentitySettings,
        metrics: HashMetrics | None = None,
        *,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        """Hash as *settings* say, and count; settings too weak to protect anybody are a mistake.

        Raises:
            ValueError: the parameters are below the floors.
        """
        _refuse_below_floor(settings)
        self._hasher = PasswordHasher(
            time_cost=settings.argon2_time_cost,
            memory_cost=settings.argon2_memory_kib,
            parallelism=settings.argon2_parallelism,
            hash_len=HASH_BYTES,
            salt_len=SALT_BYTES,
        )
        self._threads = ThreadPoolExecutor(
            settings.hash_concurrency, thread_name_prefix="argon2", initializer=_yield_to_requests
        )
        self._wait_seconds = wait_seconds
        self._metrics = metrics or HashMetrics()
        self._turns = Turns(settings.hash_concurrency, MAX_WAITERS, self._metrics.waiting)

    async def hash(self, password: str, asker: Asker) -> str:
        """Return the hash of *password*, when it is the turn of *asker*.

        Raises:
            SignInBusy: too many are waiting already, or this one has waited too long.
        """
        return await self._run(asker, lambda: self._hasher.hash(_bytes(password)))

    async def verify(self, stored: str | None, password: str, asker: Asker) -> bool:
        """Tell whether *password* is the one whose hash is *stored*.

        With nothing stored, and for a password that no rule could have admitted, the answer is no,
        after the same work as for any other: its duration tells nobody which accounts exist.

        Raises:
            SignInBusy: too many are waiting already, or this one has waited too long.
        """
        # Counted as sent, before a normal form many times as long is made of it.
        if stored is None or len(password) > PASSWORD_MAX_LENGTH:
            await self.hash("", asker)
            return False
        return await self._run(asker, lambda: self._matches(stored, _bytes(password)))

    def is_outdated(self, stored: str) -> bool:
        """Tell whether the hash *stored* was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    def is_damaged(self, stored: str) -> bool:
        """Tell whether *stored* is no hash that could be read."""
        try:
            extract_parameters(stored)
        except InvalidHashError:
            return True
        return False

    def _matches(self, stored: str, password: bytes) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except VerificationError:
            return False
        except InvalidHashError:
            # A damaged row is a wrong password, after the work of a right one.
            self._hasher.hash(password)
            return False

    async def _run(self, asker: Asker, work: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._turns.take(asker)
        except (TimeoutError, NoRoom) as error:
            self._metrics.refused()
            raise SignInBusy(retry_after_seconds=int(WAIT_SECONDS)) from error
        self._metrics.begun()
        hashing = asyncio.get_running_loop().run_in_executor(self._threads, work)
        # When the thread is done, not when nobody waits any more: a client that hangs up ends
        # its request, and not the work.
        hashing.add_done_callback(lambda _: self._turns.end())
        return await asyncio.shield(hashing)


def _bytes(password: str) -> bytes:
    # A lone surrogate cannot have been registered, but may be tried.
    return normal(password).encode("utf-8", "surrogatepass")


def _yield_to_requests() -> None:
    """Let the event loop's thread go first wherever both want the processor.

    Linux alone counts priority by thread; elsewhere this would slow the whole process down.
    """
    if sys.platform == "linux":
        niceness = min(os.getpriority(os.PRIO_PROCESS, 0) + NICENESS, LEAST_PRIORITY)
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)


def _refuse_below_floor(settings: IdentitySettings) -> None:
    least = LEAST_MEMORY_KIB.get(min(settings.argon2_time_cost, 3))
    if least is None or settings.argon2_memory_kib < least or settings.argon2_parallelism < 1:
        floors = ", ".join(f"time {t} with {m} KiB" for t, m in LEAST_MEMORY_KIB.items())
        raise ValueError(f"argon2 is too weak: the floors are {floors}, parallelism 1")
    if settings.hash_concurrency < 1:
        raise ValueError("at least one hash has to be possible at a time")

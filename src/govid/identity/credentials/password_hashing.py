"""Hashes passwords with Argon2id on worker threads, with bounded concurrency, and counts hashes.

A hash is expensive by design. Without a bound, many simultaneous logins would take the CPU from
all other requests. The metrics never tell for which account a hash is made or whether one existed:
otherwise they would reveal which accounts exist.

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
from prometheus_client import CollectorRegistry, Counter, Gauge

from govid.identity.credentials.hash_queue import FairHashQueue, HashQueueFull, HashRequester
from govid.identity.errors import LoginBusy
from govid.identity.password_policy import PASSWORD_MAX_LENGTH, to_nfkc
from govid.identity.settings import IdentitySettings


class HashMetrics:
    """The metrics of password hashing in one process."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        """Register the metrics on *registry*; without one, they are not exposed."""
        registry = registry or CollectorRegistry()
        self._waiting = Gauge(
            "govid_hashes_waiting", "Requests that wait for a password hash.", registry=registry
        )
        hashes = Counter(
            "govid_hashes",
            "Password hashes by outcome; `refused` if the queue was full or too slow.",
            ["outcome"],
            registry=registry,
        )
        self._begun, self._refused = hashes.labels("begun"), hashes.labels("refused")

    def set_waiting(self, number: int) -> None:
        """Set the number of waiting requests."""
        self._waiting.set(number)

    def count_begun(self) -> None:
        """Count a hash that has started."""
        self._begun.inc()

    def count_refused(self) -> None:
        """Count a request that was rejected by the full queue or waited too long."""
        self._refused.inc()


MIN_MEMORY_KIB = {1: 47104, 2: 19456, 3: 12288}
"""The minimum memory by number of passes; more than three passes need as much as three."""
MAX_WAITING = 64
WAIT_SECONDS = 5.0
HASH_BYTES = 32
SALT_BYTES = 16
NICENESS = 5
"""How much the priority of hashing threads is lowered. Measured on one core under full load: other
requests keep three quarters of it, and logins still succeed."""
MAX_NICENESS = 19

T = TypeVar("T")


class PasswordHashing:
    """Hashes and verifies passwords; requests wait in a fair queue (`FairHashQueue`)."""

    def __init__(
        self,
        settings: IdentitySettings,
        metrics: HashMetrics | None = None,
        *,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        """Use the Argon2 parameters of *settings*; a request waits at most *wait_seconds*.

        Raises:
            ValueError: the parameters are below the minimum.
        """
        _require_minimum(settings)
        self._hasher = PasswordHasher(
            time_cost=settings.argon2_time_cost,
            memory_cost=settings.argon2_memory_kib,
            parallelism=settings.argon2_parallelism,
            hash_len=HASH_BYTES,
            salt_len=SALT_BYTES,
        )
        self._threads = ThreadPoolExecutor(
            settings.hash_concurrency, thread_name_prefix="argon2", initializer=_lower_priority
        )
        self._wait_seconds = wait_seconds
        self._metrics = metrics or HashMetrics()
        self._queue = FairHashQueue(
            settings.hash_concurrency, MAX_WAITING, self._metrics.set_waiting
        )

    async def hash(self, password: str, requester: HashRequester) -> str:
        """Return the hash of *password* once the queue has given *requester* a slot.

        Raises:
            LoginBusy: the queue is full, or the request has waited too long.
        """
        return await self._run(requester, lambda: self._hasher.hash(_encode_password(password)))

    async def verify(self, stored: str | None, password: str, requester: HashRequester) -> bool:
        """Tell whether *stored* is a hash of *password*.

        The result is False if *stored* is None or the password is longer than any valid one. The
        work is the same in that case, so that the duration does not tell which accounts exist.

        Raises:
            LoginBusy: the queue is full, or the request has waited too long.
        """
        # The length is checked as sent, before a much longer normal form is made of it.
        if stored is None or len(password) > PASSWORD_MAX_LENGTH:
            await self.hash("", requester)
            return False
        return await self._run(requester, lambda: self._matches(stored, _encode_password(password)))

    def is_outdated(self, stored: str) -> bool:
        """Tell whether the hash *stored* was made with other parameters than the current ones."""
        return self._hasher.check_needs_rehash(stored)

    def is_damaged(self, stored: str) -> bool:
        """Tell whether *stored* cannot be parsed as a hash."""
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
            # A damaged hash counts as a wrong password and costs the same work.
            self._hasher.hash(password)
            return False

    async def _run(self, requester: HashRequester, work: Callable[[], T]) -> T:
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._queue.acquire(requester)
        except (TimeoutError, HashQueueFull) as error:
            self._metrics.count_refused()
            raise LoginBusy(retry_after_seconds=int(WAIT_SECONDS)) from error
        self._metrics.count_begun()
        hashing = asyncio.get_running_loop().run_in_executor(self._threads, work)
        # The slot is released when the thread is done, not when the request ends: a client that
        # disconnects does not stop the thread.
        hashing.add_done_callback(lambda _: self._queue.release())
        return await asyncio.shield(hashing)


def _encode_password(password: str) -> bytes:
    # A lone surrogate is invalid at registration but may be sent at login.
    return to_nfkc(password).encode("utf-8", "surrogatepass")


def _lower_priority() -> None:
    """Lower the priority of this thread below that of the event loop's thread.

    Only Linux has a priority per thread; elsewhere this would slow down the whole process.
    """
    if sys.platform == "linux":
        niceness = min(os.getpriority(os.PRIO_PROCESS, 0) + NICENESS, MAX_NICENESS)
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)


def _require_minimum(settings: IdentitySettings) -> None:
    least = MIN_MEMORY_KIB.get(min(settings.argon2_time_cost, 3))
    if least is None or settings.argon2_memory_kib < least or settings.argon2_parallelism < 1:
        minimum = ", ".join(f"time {t} with {m} KiB" for t, m in MIN_MEMORY_KIB.items())
        raise ValueError(f"argon2 is too weak: the minimum is {minimum}, parallelism 1")
    if settings.hash_concurrency < 1:
        raise ValueError("at least one concurrent hash must be allowed")

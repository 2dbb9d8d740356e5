"""Stops calling an API that is away, and tries it again from time to time (ADR-0018)."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum

from purgatory.domain.messages.events import ContextChanged
from purgatory.domain.model import Context, HalfOpenedState, OpenedState

from govid.bus.upstream.errors import Misconfigured, Unavailable, Unusable


class BreakerState(StrEnum):
    """What a breaker does with a call: pass it on, refuse it, or let one through to see."""

    CLOSED = "closed"
    OPEN = "opened"
    HALF_OPEN = "half-opened"


Listener = Callable[[BreakerState], None]


class Breaker:
    """Opens after some failures in a row, rests, and lets one call through to see.

    Only an API that is away opens it. What it answers does not, be it a refusal. The states are the
    library's; that one call at a time probes, and that a cancelled one proves nothing, is ours.
    """

    def __init__(self, name: str, *, failures: int, rest_seconds: float) -> None:
        """Open after so many *failures*, for *rest_seconds*."""
        self._name = name
        self._context = Context(name, failures, rest_seconds)
        self._probing = False
        self._listeners: list[Listener] = []

    @property
    def state(self) -> BreakerState:
        """What the breaker does now."""
        return BreakerState(self._context.state)

    def listen(self, listener: Listener) -> None:
        """Tell *listener* each new state, at once."""
        self._listeners.append(listener)

    def trip(self) -> None:
        """Open, whatever was counted: somebody knows that no call can succeed."""
        self._context.set_state(OpenedState(self._name))
        self._tell()

    def check(self) -> None:
        """Say whether a call would get through now.

        Raises:
            Unavailable: it would not.
        """
        if self._is_resting() or self._probing:
            raise Unavailable(self._name, "breaker open")

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Let one call through, and learn from how it ends.

        Raises:
            Unavailable: the breaker is open, or another call is the probe.
        """
        self.check()
        if self.state is BreakerState.OPEN:
            self._context.set_state(HalfOpenedState())
            self._tell()
        probes = self.state is BreakerState.HALF_OPEN
        self._probing = probes
        try:
            yield
        except Unavailable as error:
            self._context.handle_exception(error)
            raise
        except (Unusable, Misconfigured):
            raise
        except Exception:
            # The API refused, or asked for patience: it is there.
            self._context.handle_end_request()
            raise
        else:
            self._context.handle_end_request()
        finally:
            if probes:
                self._probing = False
            self._tell()

    def _is_resting(self) -> bool:
        if self.state is not BreakerState.OPEN:
            return False
        # The library raises its state itself, over and over, and its traceback would grow.
        return time.time() <= (self._context.opened_at or 0) + self._context.ttl

    def _tell(self) -> None:
        """Pass on what has changed; the library keeps its messages until somebody takes them."""
        messages, self._context.messages = self._context.messages, []
        for message in messages:
            if isinstance(message, ContextChanged):
                for listener in self._listeners:
                    listener(BreakerState(message.state))

"""Circuit breaker: stops calls to an unavailable API, and probes it periodically (ADR-0018)."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum

from purgatory.domain.messages.events import ContextChanged
from purgatory.domain.model import Context, HalfOpenedState, OpenedState

from govid.bus.upstream.errors import UnexpectedSimulator, UnusableResponse, UpstreamUnavailable


class BreakerState(StrEnum):
    """Whether a circuit breaker passes calls, refuses them, or lets one probe through."""

    CLOSED = "closed"
    OPEN = "opened"
    HALF_OPEN = "half-opened"


BreakerListener = Callable[[BreakerState], None]


class CircuitBreaker:
    """Circuit breaker of one API: opens after consecutive failures, then lets one probe through.

    Only an unavailable API opens it; a response does not, even if it is a refusal. The states come
    from the library. That one call at a time probes, and that a cancelled probe changes nothing,
    is added here.
    """

    def __init__(self, name: str, *, failures: int, rest_seconds: float) -> None:
        """Open after *failures* consecutive failures, for *rest_seconds*."""
        self._name = name
        self._context = Context(name, failures, rest_seconds)
        self._probing = False
        self._listeners: list[BreakerListener] = []

    @property
    def state(self) -> BreakerState:
        """The current state."""
        return BreakerState(self._context.state)

    def add_listener(self, listener: BreakerListener) -> None:
        """Call *listener* with each new state, synchronously."""
        self._listeners.append(listener)

    def trip(self) -> None:
        """Open at once, whatever was counted: the caller knows that no call can succeed."""
        self._context.set_state(OpenedState(self._name))
        self._notify_listeners()

    def check(self) -> None:
        """Check that a call would be passed now.

        Raises:
            UpstreamUnavailable: it would be refused.
        """
        if self._is_resting() or self._probing:
            raise UpstreamUnavailable(self._name, "breaker open")

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Let one call through, and count its result.

        Raises:
            UpstreamUnavailable: the breaker is open, or another call is the probe.
        """
        self.check()
        if self.state is BreakerState.OPEN:
            self._context.set_state(HalfOpenedState())
            self._notify_listeners()
        probes = self.state is BreakerState.HALF_OPEN
        self._probing = probes
        try:
            yield
        except UpstreamUnavailable as error:
            self._context.handle_exception(error)
            raise
        except (UnusableResponse, UnexpectedSimulator):
            raise
        except Exception:
            # The API refused the call or limited its rate, so it is available.
            self._context.handle_end_request()
            raise
        else:
            self._context.handle_end_request()
        finally:
            if probes:
                self._probing = False
            self._notify_listeners()

    def _is_resting(self) -> bool:
        if self.state is not BreakerState.OPEN:
            return False
        # The library raises the same state object each time, and its traceback would grow.
        return time.time() <= (self._context.opened_at or 0) + self._context.ttl

    def _notify_listeners(self) -> None:
        """Notify the listeners of changes; the library keeps its messages until they are read."""
        messages, self._context.messages = self._context.messages, []
        for message in messages:
            if isinstance(message, ContextChanged):
                for listener in self._listeners:
                    listener(BreakerState(message.state))

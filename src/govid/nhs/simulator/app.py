"""Builds the simulated NHS as one application, with the credentials of its client."""

import msgspec
from litestar import Litestar

from govid.bus import Clock, SystemClock
from govid.bus.simulation import Faults, Simulated, TokenBucket
from govid.nhs.simulator import oauth
from govid.nhs.simulator.bars import Bars
from govid.nhs.simulator.clients import CLIENT_ID, KID, Client, ClientKey
from govid.nhs.simulator.diary import Diary
from govid.nhs.simulator.outcomes import error_body
from govid.nhs.simulator.pds import Mode, Pds
from govid.nhs.simulator.people import People, Person

BASE_URL = "http://nhs.simulator"
"""Base URL in this process; the name is not in DNS."""
PER_SECOND = 5.0


class NhsSimulator:
    """Simulated token endpoint, PDS and BaRS, with their state and fault injection."""

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        key: ClientKey | None = None,
        fault: str = "",
        is_limited: bool = True,
        mode: Mode = "application",
        is_allowed: bool = True,
    ) -> None:
        """Register one client with *key*; limit it to five requests a second if *is_limited*.

        Raises:
            RuntimeError: simulators are not allowed by the settings.
            ValueError: *fault* is unknown.
        """
        if not is_allowed:
            raise RuntimeError("a simulated NHS may not stand in for the real one here")
        clock = clock or SystemClock()
        self.client_id = CLIENT_ID
        self.kid = KID
        self.key = key or ClientKey()
        self.faults = Faults(fault)
        self.people = People()
        self.diary = Diary(clock)
        self.tokens = oauth.Tokens(clock)
        self.clients = {CLIENT_ID: Client(id=CLIENT_ID, keys={KID: self.key})}
        pds = Pds(
            self.people,
            self.tokens,
            TokenBucket(PER_SECOND if is_limited else None, clock),
            clock,
            mode,
        )
        self.application = Simulated(
            "nhs",
            Litestar(
                [
                    oauth.route(self.clients, self.tokens, clock),
                    *pds.routes(),
                    *Bars(self.diary, self.tokens).routes(),
                ],
                openapi_config=None,
                logging_config=None,
            ),
            self.faults,
            error_body,
        )

    def learn(self, person: bytes) -> None:
        """Add a patient, given as JSON.

        Raises:
            msgspec.DecodeError: it is not a valid patient.
        """
        self.people.put(msgspec.json.decode(person, type=Person))

"""Builds the simulated NHS as one application, with the credentials of its client."""

import msgspec
from litestar import Litestar

from govid.bus import Clock, SystemClock
from govid.bus.upstream.simulation import FaultInjector, SimulatedUpstream, TokenBucket
from govid.nhs.simulator import oauth
from govid.nhs.simulator.bars import BarsEndpoints
from govid.nhs.simulator.diary import Diary
from govid.nhs.simulator.oauth import CLIENT_ID, KID, ClientKey, OAuthClient
from govid.nhs.simulator.patients import SimulatedPatient, SimulatedPatients
from govid.nhs.simulator.pds import AccessMode, PdsEndpoints
from govid.nhs.simulator.pds_errors import proxy_error_body

BASE_URL = "http://nhs.simulator"
"""Base URL in this process; the name is not in DNS."""
REQUESTS_PER_SECOND = 5.0


class NhsSimulator:
    """Simulated token endpoint, PDS and BaRS, with their state and fault injection."""

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        key: ClientKey | None = None,
        fault: str = "",
        is_limited: bool = True,
        mode: AccessMode = "application",
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
        self.faults = FaultInjector(fault)
        self.people = SimulatedPatients()
        self.diary = Diary(clock)
        self.tokens = oauth.AccessTokenStore(clock)
        self.clients = {CLIENT_ID: OAuthClient(id=CLIENT_ID, keys={KID: self.key})}
        pds = PdsEndpoints(
            self.people,
            self.tokens,
            TokenBucket(REQUESTS_PER_SECOND if is_limited else None, clock),
            clock,
            mode,
        )
        self.application = SimulatedUpstream(
            "nhs",
            Litestar(
                [
                    oauth.build_token_route(self.clients, self.tokens, clock),
                    *pds.build_routes(),
                    *BarsEndpoints(self.diary, self.tokens).build_routes(),
                ],
                openapi_config=None,
                logging_config=None,
            ),
            self.faults,
            proxy_error_body,
        )

    def add_person(self, person: bytes) -> None:
        """Add a patient, given as JSON.

        Raises:
            msgspec.DecodeError: it is not a valid patient.
        """
        self.people.add(msgspec.json.decode(person, type=SimulatedPatient))

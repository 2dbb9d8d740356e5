"""Assembles the simulated HMRC as one ASGI application."""

from http import HTTPStatus

import msgspec
from litestar import Litestar, Response
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException
from litestar.handlers import HTTPRouteHandler

from govid.bus import Clock, SystemClock
from govid.bus.upstream.simulation import FaultInjector, SimulatedUpstream, TokenBucket
from govid.hmrc.simulator.api_gateway import AnyRequest, ApiGateway
from govid.hmrc.simulator.applications import CLIENT_ID, CLIENT_SECRET, default_application
from govid.hmrc.simulator.consent_page import ConsentPage
from govid.hmrc.simulator.errors import error_body, platform_error
from govid.hmrc.simulator.matching import MatchingApi
from govid.hmrc.simulator.oauth import AccessTokenStore, TokenEndpoint, UserConsents
from govid.hmrc.simulator.pdv import PdvApi, PdvBehaviour
from govid.hmrc.simulator.people import SimulatedPeople, SimulatedPerson
from govid.hmrc.simulator.taxes import (
    LIABILITIES_PREFIX,
    AnnualSummaryApi,
    LiabilitiesApi,
    unavailable_body,
)

BASE_URL = "http://hmrc.simulator"
"""The base URL in this process; the name does not exist in DNS."""
CALLS_PER_SECOND = 3.0
_PREFIXES = ("/oauth/", "/individual", "/simulator/hmrc/")


class HmrcSimulator:
    """HMRC's OAuth, consent page, matching APIs and tax APIs, with their own state and faults."""

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        fault: str = "",
        is_limited: bool = True,
        is_allowed: bool = True,
        redirect_uri: str = "",
    ) -> None:
        """Register one application, which may call three times a second, or without limit.

        Browsers that consent are sent back to *redirect_uri*; without one, the page shows the code.

        Raises:
            RuntimeError: simulators are not allowed here.
            ValueError: *fault* names no fault, or *redirect_uri* is not allowed.
        """
        if not is_allowed:
            raise RuntimeError("a simulated HMRC may not replace the real one here")
        clock = clock or SystemClock()
        self.client_id = CLIENT_ID
        self.client_secret = CLIENT_SECRET
        self.faults = FaultInjector(fault)
        self.people = SimulatedPeople()
        self.pdv_behaviour = PdvBehaviour()
        self.tokens = AccessTokenStore(clock)
        self.clients = {CLIENT_ID: default_application(redirect_uri)}
        self.consents = UserConsents(clock)
        gateway = ApiGateway(
            self.tokens, TokenBucket(CALLS_PER_SECOND if is_limited else None, clock)
        )
        self.application = SimulatedUpstream(
            "hmrc",
            Litestar(
                [
                    TokenEndpoint(self.clients, self.tokens, self.consents).route(),
                    *self.pages(),
                    *PdvApi(self.people, gateway, self.pdv_behaviour).routes(),
                    *MatchingApi(self.people, gateway, clock).routes(),
                    *AnnualSummaryApi(gateway).routes(),
                    LiabilitiesApi(gateway).route(),
                ],
                exception_handlers={
                    NotFoundException: _not_found,
                    MethodNotAllowedException: _not_found,
                },
                openapi_config=None,
                logging_config=None,
            ),
            self.faults,
            _error_body,
        )

    def pages(self) -> list[HTTPRouteHandler]:
        """Return the routes that a browser has to reach: the consent page."""
        return ConsentPage(self.clients, self.consents).routes()

    def add_person(self, person: bytes) -> None:
        """Add a person, given as JSON.

        Raises:
            msgspec.DecodeError: the JSON does not describe a person.
        """
        self.people.add(msgspec.json.decode(person, type=SimulatedPerson))

    @staticmethod
    def handles_path(path: str) -> bool:
        """Tell whether *path* belongs to HMRC, where several simulators share a port."""
        return path.startswith(_PREFIXES)


def _error_body(status: int, path: str) -> tuple[bytes, str]:
    """Build the body of an injected error; one API has its own error format."""
    if status == HTTPStatus.SERVICE_UNAVAILABLE and path.startswith(LIABILITIES_PREFIX):
        return unavailable_body(), "application/json"
    return error_body(status, path)


def _not_found(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    """Answer a request for an unknown route or method with HMRC's error."""
    del request  # the answer does not depend on it
    if isinstance(error, MethodNotAllowedException):
        return platform_error("METHOD_NOT_ALLOWED").response
    return platform_error("MATCHING_RESOURCE_NOT_FOUND").response

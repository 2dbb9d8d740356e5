"""The simulated HMRC as one application, and what a client needs to know of it."""

from http import HTTPStatus

import msgspec
from litestar import Litestar, Response
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException
from litestar.handlers import HTTPRouteHandler

from govid.bus import Clock, SystemClock
from govid.bus.simulation import Faults, Simulated, TokenBucket
from govid.hmrc.simulator import liabilities
from govid.hmrc.simulator.clients import CLIENT_ID, CLIENT_SECRET, known
from govid.hmrc.simulator.consent_page import ConsentPage
from govid.hmrc.simulator.consents import Consents
from govid.hmrc.simulator.errors import error_body, platform
from govid.hmrc.simulator.gate import AnyRequest, Gate
from govid.hmrc.simulator.liabilities import LiabilitiesApi
from govid.hmrc.simulator.matching import Matching
from govid.hmrc.simulator.oauth import TokenEndpoint
from govid.hmrc.simulator.pdv import Manners, Pdv
from govid.hmrc.simulator.people import People, Person
from govid.hmrc.simulator.taxes import AnnualApis
from govid.hmrc.simulator.tokens import Tokens

BASE_URL = "http://hmrc.simulator"
"""Where it is found in this process; no name server knows the name."""
PER_SECOND = 3.0
_PREFIXES = ("/oauth/", "/individual", "/simulator/hmrc/")


class HmrcSimulator:
    """HMRC's tokens, page of consent, two matches and tax, with state and faults of their own."""

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        fault: str = "",
        is_limited: bool = True,
        is_allowed: bool = True,
        redirect_uri: str = "",
    ) -> None:
        """Know one application; let it call three times a second, or without limit.

        Browsers that consent are sent back to *redirect_uri*; without one, to nowhere.

        Raises:
            RuntimeError: simulators are not allowed here.
            ValueError: *fault* names no fault, or nobody can be sent back to *redirect_uri*.
        """
        if not is_allowed:
            raise RuntimeError("a simulated HMRC may not stand in for the real one here")
        clock = clock or SystemClock()
        self.client_id = CLIENT_ID
        self.client_secret = CLIENT_SECRET
        self.faults = Faults(fault)
        self.people = People()
        self.manners = Manners()
        self.tokens = Tokens(clock)
        self.clients = {CLIENT_ID: known(redirect_uri)}
        self.consents = Consents(clock)
        gate = Gate(self.tokens, TokenBucket(PER_SECOND if is_limited else None, clock))
        self.application = Simulated(
            "hmrc",
            Litestar(
                [
                    TokenEndpoint(self.clients, self.tokens, self.consents).route(),
                    *self.pages(),
                    *Pdv(self.people, gate, self.manners).routes(),
                    *Matching(self.people, gate, clock).routes(),
                    *AnnualApis(gate).routes(),
                    LiabilitiesApi(gate).route(),
                ],
                exception_handlers={
                    NotFoundException: _no_such,
                    MethodNotAllowedException: _no_such,
                },
                openapi_config=None,
                logging_config=None,
            ),
            self.faults,
            _away,
        )

    def pages(self) -> list[HTTPRouteHandler]:
        """Return what a browser has to reach: the page of consent."""
        return ConsentPage(self.clients, self.consents).routes()

    def learn(self, person: bytes) -> None:
        """Know one more person, who comes as JSON.

        Raises:
            msgspec.DecodeError: it describes nobody.
        """
        self.people.put(msgspec.json.decode(person, type=Person))

    @staticmethod
    def knows(path: str) -> bool:
        """Tell whether *path* is one of HMRC's, where several departments share a port."""
        return path.startswith(_PREFIXES)


def _away(status: int, path: str) -> tuple[bytes, str]:
    """Return what is sent with an error of HMRC's own: one API has words of its own."""
    if status == HTTPStatus.SERVICE_UNAVAILABLE and path.startswith(liabilities.PREFIX):
        return liabilities.away(), "application/json"
    return error_body(status, path)


def _no_such(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    """Answer who asks for what there is not, in HMRC's words."""
    del request  # one answer for all
    if isinstance(error, MethodNotAllowedException):
        return platform("METHOD_NOT_ALLOWED").response
    return platform("MATCHING_RESOURCE_NOT_FOUND").response

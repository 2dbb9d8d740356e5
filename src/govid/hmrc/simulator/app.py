"""The simulated HMRC as one application, and what a client needs to know of it."""

from litestar import Litestar, Response
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException

from govid.bus import Clock, SystemClock
from govid.bus.simulation import Faults, Simulated, TokenBucket
from govid.hmrc.simulator.clients import CLIENT_ID, CLIENT_SECRET, known
from govid.hmrc.simulator.consent_page import ConsentPage
from govid.hmrc.simulator.consents import Consents
from govid.hmrc.simulator.errors import error_body, platform
from govid.hmrc.simulator.gate import AnyRequest, Gate
from govid.hmrc.simulator.matching import Matching
from govid.hmrc.simulator.oauth import TokenEndpoint
from govid.hmrc.simulator.pdv import Manners, Pdv
from govid.hmrc.simulator.people import People
from govid.hmrc.simulator.tokens import Tokens

BASE_URL = "http://hmrc.simulator"
"""Where it is found in this process; no name server knows the name."""
PER_SECOND = 3.0
_PREFIXES = ("/oauth/", "/individuals/", "/simulator/hmrc/")


class HmrcSimulator:
    """HMRC's tokens, page of consent and two matches, with state and faults of their own."""

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        fault: str = "",
        is_limited: bool = True,
        is_allowed: bool = True,
    ) -> None:
        """Know one application; let it call three times a second, or without limit.

        Raises:
            RuntimeError: simulators are not allowed here.
            ValueError: *fault* names no fault.
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
        self.clients = {CLIENT_ID: known()}
        consents = Consents(clock)
        gate = Gate(self.tokens, TokenBucket(PER_SECOND if is_limited else None, clock))
        self.application = Simulated(
            "hmrc",
            Litestar(
                [
                    TokenEndpoint(self.clients, self.tokens, consents).route(),
                    *ConsentPage(self.clients, consents).routes(),
                    *Pdv(self.people, gate, self.manners).routes(),
                    *Matching(self.people, gate, clock).routes(),
                ],
                exception_handlers={
                    NotFoundException: _no_such,
                    MethodNotAllowedException: _no_such,
                },
                openapi_config=None,
                logging_config=None,
            ),
            self.faults,
            error_body,
        )

    @staticmethod
    def knows(path: str) -> bool:
        """Tell whether *path* is one of HMRC's, where several departments share a port."""
        return path.startswith(_PREFIXES)


def _no_such(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    """Answer who asks for what there is not, in HMRC's words."""
    del request  # one answer for all
    if isinstance(error, MethodNotAllowedException):
        return platform("METHOD_NOT_ALLOWED").response
    return platform("MATCHING_RESOURCE_NOT_FOUND").response

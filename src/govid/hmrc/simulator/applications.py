"""Registered applications and test users of the simulated HMRC."""

from collections.abc import Mapping
from ipaddress import ip_address
from urllib.parse import urlsplit

from govid.bus.shared.privacy import RedactedStruct

CLIENT_ID = "govid-simulated-application"
CLIENT_SECRET = "govid-simulated-secret"  # noqa: S105 - it is valid only for the simulator
SCOPE = "read:individuals-matching-laa-c1"
"""A scope of Individuals Matching, as HMRC grants it to one body."""

TAX_SCOPES = frozenset(
    {
        "read:individual-tax",
        "read:individual-income",
        "read:individual-employment",
        "read:self-assessment",
    }
)
"""Scopes that require a person's consent."""
OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"
"""The redirect URI of an application without a web page: its user copies the code."""
MAX_SECRETS = 5
MAX_REDIRECT_URIS = 5

PDV = "individuals-authentication"
MATCHING = "individuals-matching"
SELF_ASSESSMENT = "self-assessment"
ANNUAL_APIS = (("tax", "1.1"), ("income", "1.2"), ("employment", "1.2"))
"""The subjects of the annual summary APIs, and the version of each."""
SUBSCRIPTIONS = frozenset(
    {PDV, MATCHING, SELF_ASSESSMENT, *(f"individual-{subject}" for subject, _ in ANNUAL_APIS)}
)


class RegisteredApplication(RedactedStruct, frozen=True, kw_only=True):
    """A registered application. It may have several `secrets`, so that they can be rotated."""

    id: str
    secrets: tuple[str, ...]
    scopes: frozenset[str] = TAX_SCOPES | {SCOPE}
    redirect_uris: tuple[str, ...] = (OUT_OF_BAND,)
    subscriptions: frozenset[str] = SUBSCRIPTIONS
    """The APIs that it may call."""

    def __post_init__(self) -> None:
        """Refuse an application that HMRC's portal would not register."""
        if len(self.secrets) > MAX_SECRETS or len(self.redirect_uris) > MAX_REDIRECT_URIS:
            raise ValueError("an application has at most five secrets and five redirect URIs")
        if not all(map(is_redirect_uri, self.redirect_uris)):
            raise ValueError(
                "a redirect URI is https or on localhost, with a host name, without a fragment"
            )


def default_application(redirect_uri: str = "") -> RegisteredApplication:
    """Return the application that is registered in every simulator.

    Raises:
        ValueError: HMRC would not accept *redirect_uri*.
    """
    redirect_uris = {OUT_OF_BAND, redirect_uri or OUT_OF_BAND}
    return RegisteredApplication(
        id=CLIENT_ID, secrets=(CLIENT_SECRET,), redirect_uris=tuple(redirect_uris)
    )


def is_redirect_uri(text: str) -> bool:
    """Tell whether HMRC accepts *text* as a redirect URI."""
    if text == OUT_OF_BAND:
        return True
    url = urlsplit(text)
    if "#" in text or not url.hostname or _is_address(url.hostname):
        return False
    return url.scheme == "https" or (url.scheme == "http" and url.hostname == "localhost")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class SandboxUser(RedactedStruct, frozen=True, kw_only=True):
    """A test user, and their unique taxpayer reference."""

    id: str
    name: str
    nino: str
    utr: str


_IDA = SandboxUser(id="945350439195", name="Ida Newton", nino="PE938808A", utr="1000057161")
_SECOND = SandboxUser(id="000000000002", name="A taxpayer", nino="XM110477D", utr="8000083480")

SANDBOX_USERS: Mapping[str, SandboxUser] = {user.id: user for user in (_IDA, _SECOND)}

"""Connects to one NHS: base URL, shared rate limit, one access token, and the clients on it."""

from collections.abc import Sequence

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from msgspec import structs

from govid.bus import Clock
from govid.bus.upstream import Department, RequestPolicy, rate_limited
from govid.nhs.registry.bars import BarsClient
from govid.nhs.registry.oauth import SignedJwtTokenClient, SigningCredentials
from govid.nhs.registry.parties import BookingSender
from govid.nhs.registry.pds import PdsClient
from govid.nhs.registry.remote import PdsPatientRegistry
from govid.nhs.settings import Practice

REQUESTS_PER_SECOND = 4.5
"""Requests a second, slightly below the five that the NHS allows an application."""
RESERVED_FOR_VERIFICATION = 1.0
"""Requests a second that are reserved for verification."""

_BARS_PATH = "/booking-and-referral/FHIR/R4"
_PDS_PATH = "/personal-demographics/FHIR/R4"


class NhsConnection:
    """Builds the clients of the NHS at one base URL, with one set of credentials."""

    def __init__(
        self,
        department: Department,
        base_url: str,
        credentials: SigningCredentials,
        clock: Clock,
        *,
        policy: RequestPolicy | None = None,
    ) -> None:
        """Reach *base_url* through *department*; *policy* replaces the NHS's own rate limit."""
        self._department = department
        self._base_url = base_url.rstrip("/")
        self._clock = clock
        policy = policy or RequestPolicy(per_second=REQUESTS_PER_SECOND)
        # The NHS counts the requests of an application over all its APIs.
        self._limiter = rate_limited(policy.per_second)
        self._policy = structs.replace(policy, per_second=None)
        oauth = department.create_client("oauth", base_url, self._policy, self._limiter)
        token_client = SignedJwtTokenClient(oauth, credentials, clock)
        self._tokens = token_client.build_cache()

    def build_patient_registry(self) -> PdsPatientRegistry:
        """Return the patient registry on PDS."""
        url = f"{self._base_url}{_PDS_PATH}"
        return PdsPatientRegistry(
            PdsClient(
                self._department.create_client("pds", url, self._policy, self._limiter),
                self._tokens,
            )
        )

    def build_practice_client(
        self, sender: BookingSender, directory: Sequence[Practice]
    ) -> BarsClient:
        """Return the BaRS client for the practices of *directory*, which books for *sender*."""
        url = f"{self._base_url}{_BARS_PATH}"
        # Slot searches may use up the rate limit, so a share of it is reserved for verification.
        limiter = self._limiter.with_reserve(RESERVED_FOR_VERIFICATION) if self._limiter else None
        api = self._department.create_client("bars", url, self._policy, limiter)
        organisations = {one.service: one.ods for one in directory}
        return BarsClient(api, self._tokens, sender, organisations, self._clock)


def validate_private_key(pem: bytes) -> bytes:
    """Return *pem* if it is a private key that can sign assertions for the NHS.

    Raises:
        ValueError: it is not; the text does not contain it.
    """
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError(  # noqa: TRY004 - the value of a setting is wrong, not a type
            "GOVID_NHS_PRIVATE_KEY is no RSA private key in PEM without a passphrase"
        )
    return pem

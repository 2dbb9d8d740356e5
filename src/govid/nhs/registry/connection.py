"""The NHS as one department: its connections, its token, and the registry behind them."""

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from msgspec import structs

from govid.bus import Clock
from govid.bus.upstream import Department, Policy
from govid.nhs.registry.bars import RemotePractices
from govid.nhs.registry.oauth import Credentials, TokenDesk
from govid.nhs.registry.pds import Pds
from govid.nhs.registry.remote import RemotePatientRegistry

PER_SECOND = 4.5
"""A little less than the five that PDS allows."""

_BARS_PATH = "/booking-and-referral/FHIR/R4"
_PDS_PATH = "/personal-demographics/FHIR/R4"


def registry(
    department: Department,
    base_url: str,
    credentials: Credentials,
    clock: Clock,
    *,
    per_second: float | None = PER_SECOND,
    policy: Policy | None = None,
) -> RemotePatientRegistry:
    """Return the registry of patients at *base_url*, reached through *department*."""
    policy = policy or Policy(per_second=per_second)
    # The limit is PDS's own; tokens are too few to need one.
    patient = structs.replace(policy, per_second=None)
    tokens = TokenDesk(department.api("oauth", base_url, patient), credentials, clock).cache()
    return RemotePatientRegistry(
        Pds(department.api("pds", f"{base_url.rstrip('/')}{_PDS_PATH}", policy), tokens)
    )


def practices(
    department: Department,
    base_url: str,
    credentials: Credentials,
    clock: Clock,
    ods: str,
    *,
    policy: Policy | None = None,
) -> RemotePractices:
    """Return the way to the practices at *base_url*, on behalf of the organisation *ods*."""
    tokens = TokenDesk(department.api("oauth", base_url, policy), credentials, clock).cache()
    url = f"{base_url.rstrip('/')}{_BARS_PATH}"
    return RemotePractices(department.api("bars", url, policy), tokens, ods)


def checked_key(pem: bytes) -> bytes:
    """Return *pem*, if it is a private key that can sign for the NHS.

    Raises:
        ValueError: it is none; the text says nothing of it.
    """
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError(  # noqa: TRY004 - the value of a setting is wrong, not a type of ours
            "GOVID_NHS_PRIVATE_KEY is no RSA private key in PEM without a passphrase"
        )
    return pem

"""Builds the HMRC clients of one department: verification, consent and tax records."""

from msgspec import structs

from govid.bus.upstream import Department, RequestLimiter, RequestPolicy, rate_limited
from govid.hmrc.registry.annual import AnnualSummaryClient
from govid.hmrc.registry.consent import RemoteConsentClient
from govid.hmrc.registry.individuals import IndividualMatchingClient
from govid.hmrc.registry.liabilities import LiabilitiesClient
from govid.hmrc.registry.matcher import PersonMatcher
from govid.hmrc.registry.oauth import ClientCredentials, TokenClient
from govid.hmrc.registry.pdv import PersonalDataVerificationClient
from govid.hmrc.registry.remote import RemoteNinoVerifier
from govid.hmrc.registry.remote_taxes import RemoteTaxRecordClient
from govid.hmrc.settings import MatchingContract

REQUESTS_PER_SECOND = 2.7
"""Slightly less than HMRC's rate limit of three a second for an application, over all APIs."""
RESERVED_FOR_VERIFICATION = 1.0
"""How many of these are reserved for verification."""
DEFAULT_POLICY = RequestPolicy()


def build_verifier(
    department: Department,
    base_url: str,
    credentials: ClientCredentials,
    contract: MatchingContract,
    *,
    pdv_path: str,
    limiter: RequestLimiter | None = None,
    policy: RequestPolicy = DEFAULT_POLICY,
) -> RemoteNinoVerifier:
    """Return a verifier that calls the API of *contract* at *base_url* through *department*."""
    limiter = limiter or rate_limited(policy.per_second)
    policy = structs.replace(policy, per_second=None)
    tokens = TokenClient(
        department.create_client("oauth", base_url, policy, limiter), credentials
    ).build_cache()
    matcher: PersonMatcher
    match contract:
        case "pdv":
            matcher = PersonalDataVerificationClient(
                department.create_client("pdv", base_url, policy, limiter), tokens, pdv_path
            )
        case "individuals-1":
            api = department.create_client("individuals", base_url, policy, limiter)
            matcher = IndividualMatchingClient(api, tokens, "1.0")
        case "individuals-2":
            api = department.create_client("individuals", base_url, policy, limiter)
            matcher = IndividualMatchingClient(api, tokens, "2.0")
    return RemoteNinoVerifier(matcher)


def build_consent_client(
    department: Department,
    base_url: str,
    credentials: ClientCredentials,
    *,
    page_url: str,
    redirect_uri: str,
    limiter: RequestLimiter | None = None,
    policy: RequestPolicy = DEFAULT_POLICY,
) -> RemoteConsentClient:
    """Return the consent client: its page is below *page_url*, its token endpoint at *base_url*."""
    api = department.create_client("consent", base_url, policy, limiter)
    return RemoteConsentClient(api, credentials, page_url=page_url, redirect_uri=redirect_uri)


def build_tax_record_client(
    department: Department,
    base_url: str,
    *,
    limiter: RequestLimiter | None = None,
    policy: RequestPolicy = DEFAULT_POLICY,
) -> RemoteTaxRecordClient:
    """Return the client of four tax APIs at *base_url*, each with its own circuit breaker."""

    def annual(subject: str, version: str) -> AnnualSummaryClient:
        api = department.create_client(f"individual-{subject}", base_url, policy, limiter)
        return AnnualSummaryClient(api, subject, version)

    return RemoteTaxRecordClient(
        tax=annual("tax", "1.1"),
        income=annual("income", "1.2"),
        employment=annual("employment", "1.2"),
        liabilities=LiabilitiesClient(
            department.create_client("self-assessment", base_url, policy, limiter)
        ),
    )

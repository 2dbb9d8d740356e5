"""Builds the HMRC clients of one department: verification, consent and tax records."""

from msgspec import structs

from govid.bus.upstream import Department, Limiter, Policy, paced
from govid.hmrc.registry.annual import AnnualSummaries
from govid.hmrc.registry.consent import RemoteConsentDesk
from govid.hmrc.registry.individuals import Individuals
from govid.hmrc.registry.liabilities import Liabilities
from govid.hmrc.registry.matcher import Matcher
from govid.hmrc.registry.oauth import Credentials, TokenDesk
from govid.hmrc.registry.pdv import Pdv
from govid.hmrc.registry.remote import RemoteNinoVerifier
from govid.hmrc.registry.remote_taxes import RemoteTaxRecords
from govid.hmrc.settings import Contract

PER_SECOND = 2.7
"""Slightly less than HMRC's rate limit of three a second for an application, over all APIs."""
FOR_VERIFICATION = 1.0
"""How many of these are reserved for verification."""
ORDINARY = Policy()


def verifier(
    department: Department,
    base_url: str,
    credentials: Credentials,
    contract: Contract,
    *,
    pdv_path: str,
    limiter: Limiter | None = None,
    policy: Policy = ORDINARY,
) -> RemoteNinoVerifier:
    """Return a verifier that calls the API of *contract* at *base_url* through *department*."""
    limiter = limiter or paced(policy.per_second)
    policy = structs.replace(policy, per_second=None)
    tokens = TokenDesk(department.api("oauth", base_url, policy, limiter), credentials).cache()
    matcher: Matcher
    match contract:
        case "pdv":
            matcher = Pdv(department.api("pdv", base_url, policy, limiter), tokens, pdv_path)
        case "individuals-1":
            api = department.api("individuals", base_url, policy, limiter)
            matcher = Individuals(api, tokens, "1.0")
        case "individuals-2":
            api = department.api("individuals", base_url, policy, limiter)
            matcher = Individuals(api, tokens, "2.0")
    return RemoteNinoVerifier(matcher)


def consent_desk(
    department: Department,
    base_url: str,
    credentials: Credentials,
    *,
    page_url: str,
    redirect_uri: str,
    limiter: Limiter | None = None,
    policy: Policy = ORDINARY,
) -> RemoteConsentDesk:
    """Return the consent client: its page is below *page_url*, its token endpoint at *base_url*."""
    api = department.api("consent", base_url, policy, limiter)
    return RemoteConsentDesk(api, credentials, page_url=page_url, redirect_uri=redirect_uri)


def tax_records(
    department: Department,
    base_url: str,
    *,
    limiter: Limiter | None = None,
    policy: Policy = ORDINARY,
) -> RemoteTaxRecords:
    """Return the client of four tax APIs at *base_url*, each with its own circuit breaker."""

    def annual(subject: str, version: str) -> AnnualSummaries:
        api = department.api(f"individual-{subject}", base_url, policy, limiter)
        return AnnualSummaries(api, subject, version)

    return RemoteTaxRecords(
        tax=annual("tax", "1.1"),
        income=annual("income", "1.2"),
        employment=annual("employment", "1.2"),
        liabilities=Liabilities(department.api("self-assessment", base_url, policy, limiter)),
    )

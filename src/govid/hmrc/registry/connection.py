"""HMRC as one department: its connections, its token, and the contract that govid has with it."""

from msgspec import structs

from govid.bus.upstream import Department, Policy
from govid.hmrc.registry.individuals import Individuals
from govid.hmrc.registry.matcher import Matcher
from govid.hmrc.registry.oauth import Credentials, TokenDesk
from govid.hmrc.registry.pdv import Pdv
from govid.hmrc.registry.remote import RemoteNinoVerifier
from govid.hmrc.settings import Contract

PER_SECOND = 2.7
"""A little less than the three that HMRC allows an application."""


def verifier(
    department: Department,
    base_url: str,
    credentials: Credentials,
    contract: Contract,
    *,
    pdv_path: str,
    per_second: float | None = PER_SECOND,
    policy: Policy | None = None,
) -> RemoteNinoVerifier:
    """Return the verifier at *base_url*, reached through *department* and asked by *contract*."""
    policy = policy or Policy(per_second=per_second)
    # The limit is the APIs'; tokens are too few to need one.
    patient = structs.replace(policy, per_second=None)
    tokens = TokenDesk(department.api("oauth", base_url, patient), credentials).cache()
    matcher: Matcher
    match contract:
        case "pdv":
            matcher = Pdv(department.api("pdv", base_url, policy), tokens, pdv_path)
        case "individuals-1":
            matcher = Individuals(department.api("individuals", base_url, policy), tokens, "1.0")
        case "individuals-2":
            matcher = Individuals(department.api("individuals", base_url, policy), tokens, "2.0")
    return RemoteNinoVerifier(matcher)

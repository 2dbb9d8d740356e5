"""Routes of consent to tax records."""

from typing import Annotated

from litestar import delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import Body

from govid.bus import OperationContext, Principal
from govid.bus.routes import describe_response
from govid.hmrc.consents import TaxConsentService
from govid.hmrc.examples import CONSENT_REQUESTS, CONSENTS, CONSENTS_BEGUN
from govid.hmrc.schemas import ConsentBegunView, ConsentView, GrantConsent


@post(
    "/consent",
    status_code=201,
    permission="hmrc.consent.begin",
    refuses=("403", "429"),
    summary="Start consent to read your tax records",
    description="Send the citizen's browser to the address. HMRC sends it back to your own page, "
    "with a code and a state. A consent that was started before can no longer be completed.",
    responses={201: describe_response(ConsentBegunView, "Consent was started.", CONSENTS_BEGUN)},
)
async def begin_consent(
    consent: NamedDependency[TaxConsentService],
    principal: NamedDependency[Principal],
    cause: NamedDependency[OperationContext],
) -> ConsentBegunView:
    return await consent.start(principal, cause)


@put(
    "/consent",
    permission="hmrc.consent.grant",
    refuses=("403", "409"),
    summary="Grant consent with the code from HMRC",
    description="Use the access token of the citizen who started the consent; the code is not "
    "valid for any other account.",
    responses={200: describe_response(ConsentView, "Consent was granted.", CONSENTS)},
)
async def grant_consent(
    data: Annotated[GrantConsent, Body(examples=CONSENT_REQUESTS)],
    consent: NamedDependency[TaxConsentService],
    principal: NamedDependency[Principal],
    cause: NamedDependency[OperationContext],
) -> ConsentView:
    return await consent.grant(data, principal, cause)


@get(
    "/consent",
    permission="hmrc.consent.read",
    summary="Show the status of your consent",
    description="A consent that has lapsed has to be given again.",
    responses={200: describe_response(ConsentView, "The status of your consent.", CONSENTS)},
)
async def show_consent(
    consent: NamedDependency[TaxConsentService], principal: NamedDependency[Principal]
) -> ConsentView:
    return await consent.get_status(principal)


@delete(
    "/consent",
    permission="hmrc.consent.withdraw",
    summary="Withdraw your consent",
    description="Your consent tokens are deleted here. At HMRC, your permission stays valid until "
    "it ends or you withdraw it in your tax account.",
)
async def withdraw_consent(
    consent: NamedDependency[TaxConsentService],
    principal: NamedDependency[Principal],
    cause: NamedDependency[OperationContext],
) -> None:
    await consent.withdraw(principal, cause)


CONSENT_ROUTES = (begin_consent, grant_consent, show_consent, withdraw_consent)

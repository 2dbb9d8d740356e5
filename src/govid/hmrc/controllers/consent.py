"""The routes of consent to tax records: decode, call, return."""

from typing import Annotated

from litestar import delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import Body

from govid.bus import Cause, Principal
from govid.bus.routes import answer_of
from govid.hmrc import examples
from govid.hmrc.consents import TaxConsent
from govid.hmrc.schemas import ConsentBegunView, ConsentView, GrantConsent


@post(
    "/consent",
    status_code=201,
    permission="hmrc.consent.begin",
    refuses=("403", "429"),
    summary="Begin to consent to seeing your tax records",
    description="Send the citizen's browser to the address. HMRC sends it back to your own page, "
    "with a code and a state. What was begun before is good no longer.",
    responses={201: answer_of(ConsentBegunView, "Begun.", examples.CONSENTS_BEGUN)},
)
async def begin_consent(
    consent: NamedDependency[TaxConsent],
    principal: NamedDependency[Principal],
    cause: NamedDependency[Cause],
) -> ConsentBegunView:
    return await consent.begin(principal, cause)


@put(
    "/consent",
    permission="hmrc.consent.grant",
    refuses=("403", "409"),
    summary="Hand over what HMRC sent back",
    description="With the token of the citizen who began; for anybody else the code is no good.",
    responses={200: answer_of(ConsentView, "Given.", examples.CONSENTS)},
)
async def grant_consent(
    data: Annotated[GrantConsent, Body(examples=examples.CONSENT_REQUESTS)],
    consent: NamedDependency[TaxConsent],
    principal: NamedDependency[Principal],
    cause: NamedDependency[Cause],
) -> ConsentView:
    return await consent.grant(data, principal, cause)


@get(
    "/consent",
    permission="hmrc.consent.read",
    summary="Tell how your consent stands",
    description="A consent that has lapsed has to be given again.",
    responses={200: answer_of(ConsentView, "How it stands.", examples.CONSENTS)},
)
async def show_consent(
    consent: NamedDependency[TaxConsent], principal: NamedDependency[Principal]
) -> ConsentView:
    return await consent.status(principal)


@delete(
    "/consent",
    permission="hmrc.consent.withdraw",
    summary="Withdraw your consent",
    description="What opens your records at HMRC is forgotten here. There, your permission stands "
    "until it ends or you take it back in your tax account.",
)
async def withdraw_consent(
    consent: NamedDependency[TaxConsent],
    principal: NamedDependency[Principal],
    cause: NamedDependency[Cause],
) -> None:
    await consent.withdraw(principal, cause)


HANDLERS = (begin_consent, grant_consent, show_consent, withdraw_consent)

"""The route of verification: saying who one is, once there is an account."""

from typing import Annotated

from litestar import Router, post
from litestar.di import NamedDependency, Provide
from litestar.params import Body

from govid.bus import Cause, Principal
from govid.bus.routes import answer_of
from govid.identity import examples
from govid.identity.accounts.inquiry import Inquiry
from govid.identity.schemas import UserView, Verify


@post(
    "/verification",
    status_code=202,
    permission="identity.verification.request",
    refuses=("400", "403", "429"),
    summary="Say who you are, to be verified",
    description=(
        "For an account whose verification failed, or whose department knows too little. There "
        "are two attempts for each account and each identifier, registration's among them; the "
        "third is refused as `attempts-exhausted`. A department that is away costs none."
    ),
    responses={202: answer_of(UserView, "Asked.", examples.USERS)},
)
async def verify(
    data: Annotated[Verify, Body(examples=examples.VERIFICATIONS)],
    inquiry: NamedDependency[Inquiry],
    principal: NamedDependency[Principal],
    cause: NamedDependency[Cause],
) -> UserView:
    return await inquiry.open(data, principal, cause)


def router(inquiry: Inquiry) -> Router:
    """Return the route, with the use case behind it."""
    return Router(
        "/api/auth",
        route_handlers=[verify],
        dependencies={"inquiry": Provide(lambda: inquiry, sync_to_thread=False)},
        tags=["identity"],
    )

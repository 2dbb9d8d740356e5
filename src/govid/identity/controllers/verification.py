"""Route of verification retries: request verification of an existing account."""

from typing import Annotated

from litestar import Router, post
from litestar.di import NamedDependency, Provide
from litestar.params import Body

from govid.bus import OperationContext, Principal
from govid.bus.routes import describe_response
from govid.identity import examples
from govid.identity.accounts.inquiry import VerificationRetry
from govid.identity.schemas import UserView, Verify


@post(
    "/verification",
    status_code=202,
    permission="identity.verification.request",
    refuses=("400", "403", "429"),
    summary="Request verification of your account",
    description=(
        "For an account whose verification failed, or whose department has too little data. There "
        "are two attempts for each account and each identifier, including the one at registration; "
        "the third is refused as `attempts-exhausted`. An unavailable department uses no attempt."
    ),
    responses={202: describe_response(UserView, "Verification is requested.", examples.USERS)},
)
async def verify(
    data: Annotated[Verify, Body(examples=examples.VERIFICATIONS)],
    retry: NamedDependency[VerificationRetry],
    principal: NamedDependency[Principal],
    cause: NamedDependency[OperationContext],
) -> UserView:
    return await retry.start(data, principal, cause)


def verification_router(retry: VerificationRetry) -> Router:
    """Return the route, with the use case behind it."""
    return Router(
        "/api/auth",
        route_handlers=[verify],
        dependencies={"retry": Provide(lambda: retry, sync_to_thread=False)},
        tags=["identity"],
    )

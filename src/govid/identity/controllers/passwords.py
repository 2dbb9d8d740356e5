"""The routes of passwords: what one has to be like, changing it, and setting a forgotten one."""

from litestar import Router, get
from litestar.di import NamedDependency, Provide
from litestar.openapi.datastructures import ResponseSpec

from govid.identity import examples
from govid.identity.passwords.policy import Policy
from govid.identity.schemas import PasswordPolicyView


@get(
    "/password-policy",
    public="whoever opens an account has to know it first",
    summary="See what a password has to be like",
    sync_to_thread=False,
    responses={
        200: ResponseSpec(PasswordPolicyView, description="The rules.", examples=examples.POLICIES)
    },
)
def password_policy(policy: NamedDependency[Policy]) -> PasswordPolicyView:
    return policy.view()


def router(policy: Policy) -> Router:
    """Return the routes, with the use cases behind them."""
    return Router(
        "/api/auth",
        route_handlers=[password_policy],
        dependencies={"policy": Provide(lambda: policy, sync_to_thread=False)},
        tags=["identity"],
    )

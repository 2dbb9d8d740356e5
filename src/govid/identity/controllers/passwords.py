"""Routes of passwords: the policy, change and reset."""

from typing import Annotated

from litestar import Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import Body

from govid.bus import OperationContext, Principal
from govid.bus.routes import describe_response
from govid.identity import examples
from govid.identity.credentials.change import PasswordChange
from govid.identity.credentials.reset import PasswordReset
from govid.identity.passwords.policy import PasswordPolicy
from govid.identity.schemas import (
    ChangePassword,
    ConfirmReset,
    NotedView,
    PasswordPolicyView,
    RequestReset,
)

RESET_NOTED = NotedView(
    message=(
        "If an account has this address, a mail with a link to set a new password is on its way"
    )
)


@get(
    "/password-policy",
    public="clients need the policy before registration",
    summary="Get the password policy",
    sync_to_thread=False,
    responses={200: describe_response(PasswordPolicyView, "The policy.", examples.POLICIES)},
)
def password_policy(policy: NamedDependency[PasswordPolicy]) -> PasswordPolicyView:
    return policy.describe()


@post(
    "/password",
    status_code=204,
    permission="identity.password.change",
    refuses=("403", "429"),
    summary="Change your password",
    description="Ends every session of the account, including this one. Sign in again afterwards.",
)
async def change_password(
    data: Annotated[ChangePassword, Body(examples=examples.PASSWORD_CHANGES)],
    password_change: NamedDependency[PasswordChange],
    principal: NamedDependency[Principal],
    cause: NamedDependency[OperationContext],
) -> None:
    await password_change.change(data, principal, cause)


@post(
    "/reset",
    status_code=202,
    public="an account holder without the password cannot sign in",
    refuses=("429",),
    summary="Request a link to set a new password",
    description="The response is the same whether or not an account has this address.",
    responses={202: describe_response(NotedView, "Accepted.", examples.RESETS_NOTED)},
)
async def request_reset(
    data: Annotated[RequestReset, Body(examples=examples.RESETS)],
    password_reset: NamedDependency[PasswordReset],
    cause: NamedDependency[OperationContext],
) -> NotedView:
    await password_reset.request(data.email, cause)
    return RESET_NOTED


@post(
    "/reset/confirm",
    status_code=204,
    public="the one-time token authenticates the request",
    refuses=("400",),
    summary="Set a new password with the token from the email",
    description="The token can be used once. Ends every session of the account.",
)
async def confirm_reset(
    data: Annotated[ConfirmReset, Body(examples=examples.RESET_CONFIRMATIONS)],
    password_reset: NamedDependency[PasswordReset],
    cause: NamedDependency[OperationContext],
) -> None:
    await password_reset.confirm(data, cause)


def password_router(
    policy: PasswordPolicy, password_change: PasswordChange, password_reset: PasswordReset
) -> Router:
    """Return the routes, with the use cases behind them."""
    return Router(
        "/api/auth",
        route_handlers=[password_policy, change_password, request_reset, confirm_reset],
        dependencies={
            "policy": Provide(lambda: policy, sync_to_thread=False),
            "password_change": Provide(lambda: password_change, sync_to_thread=False),
            "password_reset": Provide(lambda: password_reset, sync_to_thread=False),
        },
        tags=["identity"],
    )

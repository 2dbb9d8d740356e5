"""The routes of passwords: what one has to be like, changing it, and setting a forgotten one."""

from typing import Annotated

from litestar import Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import Body

from govid.bus import Cause, Principal
from govid.bus.routes import answer_of
from govid.identity import examples
from govid.identity.credentials.change import PasswordChange
from govid.identity.credentials.reset import PasswordReset
from govid.identity.passwords.policy import Policy
from govid.identity.schemas import (
    ChangePassword,
    ConfirmReset,
    NotedView,
    PasswordPolicyView,
    RequestReset,
)

RESET_NOTED = NotedView(
    message="If an account has this address, a mail with a link to set a new password is on its way"
)


@get(
    "/password-policy",
    public="whoever opens an account has to know it first",
    summary="See what a password has to be like",
    sync_to_thread=False,
    responses={200: answer_of(PasswordPolicyView, "The rules.", examples.POLICIES)},
)
def password_policy(policy: NamedDependency[Policy]) -> PasswordPolicyView:
    return policy.view()


@post(
    "/password",
    status_code=204,
    permission="identity.password.change",
    refuses=("403", "429"),
    summary="Change your password",
    description="Ends every session of the account, this one too: sign in again.",
)
async def change_password(
    data: Annotated[ChangePassword, Body(examples=examples.PASSWORD_CHANGES)],
    password_change: NamedDependency[PasswordChange],
    principal: NamedDependency[Principal],
    cause: NamedDependency[Cause],
) -> None:
    await password_change.change(data, principal, cause)


@post(
    "/reset",
    status_code=202,
    public="whoever has forgotten a password cannot sign in",
    refuses=("429",),
    summary="Ask for a link to set a new password",
    description="The answer is the same whether or not an account has this address.",
    responses={202: answer_of(NotedView, "Noted.", examples.RESETS_NOTED)},
)
async def request_reset(
    data: Annotated[RequestReset, Body(examples=examples.RESETS)],
    password_reset: NamedDependency[PasswordReset],
    cause: NamedDependency[Cause],
) -> NotedView:
    await password_reset.request(data.email, cause)
    return RESET_NOTED


@post(
    "/reset/confirm",
    status_code=204,
    public="the token from the mail is the proof",
    refuses=("400",),
    summary="Set a new password by the token from the mail",
    description="Works once. Ends every session of the account.",
)
async def confirm_reset(
    data: Annotated[ConfirmReset, Body(examples=examples.RESET_CONFIRMATIONS)],
    password_reset: NamedDependency[PasswordReset],
    cause: NamedDependency[Cause],
) -> None:
    await password_reset.confirm(data, cause)


def router(
    policy: Policy, password_change: PasswordChange, password_reset: PasswordReset
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

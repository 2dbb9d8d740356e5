"""Routes of credentials: login, password change and reset, and the email address."""

from typing import Annotated

from litestar import Router, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import Body

from govid.bus import OperationContext, Principal
from govid.bus.shared.api import describe_response
from govid.identity import openapi_examples
from govid.identity.accounts.email_address import EmailAddressService
from govid.identity.credentials.login import PasswordLogin
from govid.identity.credentials.password_change import PasswordChange, PasswordReset
from govid.identity.password_policy import PasswordPolicy
from govid.identity.schemas import (
    ChangeEmail,
    ChangePassword,
    ConfirmEmail,
    ConfirmReset,
    Login,
    NotedView,
    PasswordPolicyView,
    RequestReset,
    TokenView,
)


@post(
    "/login",
    status_code=200,
    public="the route that issues a token cannot require one",
    summary="Sign in",
    refuses=("401", "403", "429"),
    description="The response is the same for an unknown address and for a wrong password.",
    responses={200: describe_response(TokenView, "The access token.", openapi_examples.TOKENS)},
)
async def login(
    data: Annotated[Login, Body(examples=openapi_examples.LOGINS)],
    password_login: NamedDependency[PasswordLogin],
    context: NamedDependency[OperationContext],
) -> TokenView:
    return await password_login.login(data, context)


def login_router(password_login: PasswordLogin) -> Router:
    """Return the routes, with the use cases behind them."""
    return Router(
        "/api/auth",
        route_handlers=[login],
        dependencies={"password_login": Provide(lambda: password_login, sync_to_thread=False)},
        tags=["identity"],
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
    responses={
        200: describe_response(PasswordPolicyView, "The policy.", openapi_examples.POLICIES)
    },
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
    data: Annotated[ChangePassword, Body(examples=openapi_examples.PASSWORD_CHANGES)],
    password_change: NamedDependency[PasswordChange],
    principal: NamedDependency[Principal],
    context: NamedDependency[OperationContext],
) -> None:
    await password_change.change(data, principal, context)


@post(
    "/reset",
    status_code=202,
    public="an account holder without the password cannot sign in",
    refuses=("429",),
    summary="Request a link to set a new password",
    description="The response is the same whether or not an account has this address.",
    responses={202: describe_response(NotedView, "Accepted.", openapi_examples.RESETS_NOTED)},
)
async def request_reset(
    data: Annotated[RequestReset, Body(examples=openapi_examples.RESETS)],
    password_reset: NamedDependency[PasswordReset],
    context: NamedDependency[OperationContext],
) -> NotedView:
    await password_reset.request(data.email, context)
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
    data: Annotated[ConfirmReset, Body(examples=openapi_examples.RESET_CONFIRMATIONS)],
    password_reset: NamedDependency[PasswordReset],
    context: NamedDependency[OperationContext],
) -> None:
    await password_reset.confirm(data, context)


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


LINK_NOTED = NotedView(message="If this address can be confirmed, a mail with a link is on its way")


@post(
    "/email/confirmation",
    status_code=202,
    permission="identity.email.confirm",
    refuses=("429",),
    summary="Request a link to confirm your email address",
    responses={202: describe_response(NotedView, "Accepted.", openapi_examples.LINKS_NOTED)},
)
async def ask_confirmation(
    email_address: NamedDependency[EmailAddressService],
    principal: NamedDependency[Principal],
    context: NamedDependency[OperationContext],
) -> NotedView:
    await email_address.request_confirmation(principal, context)
    return LINK_NOTED


@post(
    "/email",
    status_code=202,
    permission="identity.email.change",
    refuses=("403", "429"),
    summary="Request a change of your email address",
    description=(
        "The old address stays in use until the new one is confirmed with a link. The response "
        "is the same whether or not another account has the new address."
    ),
    responses={202: describe_response(NotedView, "Accepted.", openapi_examples.LINKS_NOTED)},
)
async def change_email(
    data: Annotated[ChangeEmail, Body(examples=openapi_examples.EMAIL_CHANGES)],
    email_address: NamedDependency[EmailAddressService],
    principal: NamedDependency[Principal],
    context: NamedDependency[OperationContext],
) -> NotedView:
    await email_address.request_change(data, principal, context)
    return LINK_NOTED


@post(
    "/email/confirm",
    status_code=204,
    public="the one-time token authenticates the request",
    refuses=("400",),
    summary="Confirm an email address with the token from the email",
    description="The token can be used once. A new address replaces the old one.",
)
async def confirm_email(
    data: Annotated[ConfirmEmail, Body(examples=openapi_examples.EMAIL_CONFIRMATIONS)],
    email_address: NamedDependency[EmailAddressService],
    context: NamedDependency[OperationContext],
) -> None:
    await email_address.confirm(data.token, context)


def email_router(email_address: EmailAddressService) -> Router:
    """Return the routes, with the use case behind them."""
    return Router(
        "/api/auth",
        route_handlers=[ask_confirmation, change_email, confirm_email],
        dependencies={"email_address": Provide(lambda: email_address, sync_to_thread=False)},
        tags=["identity"],
    )

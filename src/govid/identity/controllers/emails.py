"""Routes of the email address: confirmation and change."""

from typing import Annotated

from litestar import Router, post
from litestar.di import NamedDependency, Provide
from litestar.params import Body

from govid.bus import OperationContext, Principal
from govid.bus.routes import describe_response
from govid.identity import examples
from govid.identity.accounts.email import EmailAddressService
from govid.identity.schemas import ChangeEmail, ConfirmEmail, NotedView

LINK_NOTED = NotedView(message="If this address can be confirmed, a mail with a link is on its way")


@post(
    "/email/confirmation",
    status_code=202,
    permission="identity.email.confirm",
    refuses=("429",),
    summary="Request a link to confirm your email address",
    responses={202: describe_response(NotedView, "Accepted.", examples.LINKS_NOTED)},
)
async def ask_confirmation(
    email_address: NamedDependency[EmailAddressService],
    principal: NamedDependency[Principal],
    cause: NamedDependency[OperationContext],
) -> NotedView:
    await email_address.request_confirmation(principal, cause)
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
    responses={202: describe_response(NotedView, "Accepted.", examples.LINKS_NOTED)},
)
async def change_email(
    data: Annotated[ChangeEmail, Body(examples=examples.EMAIL_CHANGES)],
    email_address: NamedDependency[EmailAddressService],
    principal: NamedDependency[Principal],
    cause: NamedDependency[OperationContext],
) -> NotedView:
    await email_address.request_change(data, principal, cause)
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
    data: Annotated[ConfirmEmail, Body(examples=examples.EMAIL_CONFIRMATIONS)],
    email_address: NamedDependency[EmailAddressService],
    cause: NamedDependency[OperationContext],
) -> None:
    await email_address.confirm(data.token, cause)


def email_router(email_address: EmailAddressService) -> Router:
    """Return the routes, with the use case behind them."""
    return Router(
        "/api/auth",
        route_handlers=[ask_confirmation, change_email, confirm_email],
        dependencies={"email_address": Provide(lambda: email_address, sync_to_thread=False)},
        tags=["identity"],
    )

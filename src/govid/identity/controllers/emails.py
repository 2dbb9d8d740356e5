"""The routes of addresses: confirming one's own, and changing it."""

from typing import Annotated

from litestar import Router, post
from litestar.di import NamedDependency, Provide
from litestar.params import Body

from govid.bus import Cause, Principal
from govid.bus.routes import answer_of
from govid.identity import examples
from govid.identity.accounts.email import EmailDesk
from govid.identity.schemas import ChangeEmail, ConfirmEmail, NotedView

LINK_NOTED = NotedView(message="If this address can be confirmed, a mail with a link is on its way")


@post(
    "/email/confirmation",
    status_code=202,
    permission="identity.email.confirm",
    refuses=("429",),
    summary="Ask for a link that confirms your address",
    responses={202: answer_of(NotedView, "Noted.", examples.LINKS_NOTED)},
)
async def ask_confirmation(
    email_desk: NamedDependency[EmailDesk],
    principal: NamedDependency[Principal],
    cause: NamedDependency[Cause],
) -> NotedView:
    await email_desk.ask(principal, cause)
    return LINK_NOTED


@post(
    "/email",
    status_code=202,
    permission="identity.email.change",
    refuses=("403", "429"),
    summary="Ask for another address",
    description=(
        "The old address counts until the new one is confirmed by a link. The answer is the same "
        "whether or not another account has the new one."
    ),
    responses={202: answer_of(NotedView, "Noted.", examples.LINKS_NOTED)},
)
async def change_email(
    data: Annotated[ChangeEmail, Body(examples=examples.EMAIL_CHANGES)],
    email_desk: NamedDependency[EmailDesk],
    principal: NamedDependency[Principal],
    cause: NamedDependency[Cause],
) -> NotedView:
    await email_desk.change(data, principal, cause)
    return LINK_NOTED


@post(
    "/email/confirm",
    status_code=204,
    public="the token from the mail is the proof",
    refuses=("400",),
    summary="Confirm an address by the token from the mail",
    description="Works once. A new address becomes the account's by it.",
)
async def confirm_email(
    data: Annotated[ConfirmEmail, Body(examples=examples.EMAIL_CONFIRMATIONS)],
    email_desk: NamedDependency[EmailDesk],
    cause: NamedDependency[Cause],
) -> None:
    await email_desk.confirm(data.token, cause)


def router(email_desk: EmailDesk) -> Router:
    """Return the routes, with the use case behind them."""
    return Router(
        "/api/auth",
        route_handlers=[ask_confirmation, change_email, confirm_email],
        dependencies={"email_desk": Provide(lambda: email_desk, sync_to_thread=False)},
        tags=["identity"],
    )

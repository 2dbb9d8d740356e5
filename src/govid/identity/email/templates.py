"""Texts of the e-mails. They hold no name, and do not repeat the data they are about."""

from collections.abc import Mapping
from datetime import datetime

from govid.identity.repository.outgoing_email import EmailKind

_NOT_YOU = """If it was not you, set a new password at once: request a link, as if you had
forgotten it."""

_TEXTS: Mapping[EmailKind, tuple[str, str]] = {
    EmailKind.RESET: (
        "Set a new password",
        """We received a request to set a new password
on {moment}.

To set one, follow this link within {minutes} minutes of receiving it. It works
once:

{link}

If it was not you, do nothing: your password stays as it is.
""",
    ),
    EmailKind.PASSWORD_CHANGED: (
        "Your password was changed",
        f"""Your password was changed on {{moment}}.
You are signed out everywhere.

{_NOT_YOU}
""",
    ),
    EmailKind.EMAIL_CONFIRMATION: (
        "Confirm your email address",
        """To confirm this address, follow this link within {hours} hours. It works once,
and only until you request another:

{link}

If you have no account with us, do nothing.
""",
    ),
    EmailKind.EMAIL_CHANGE: (
        "Confirm your new email address",
        """We received a request to use this address for an account
on {moment}.

To agree, follow this link within {hours} hours. It works once, and only until
another is requested:

{link}

If it was not you, do nothing.
""",
    ),
    EmailKind.EMAIL_CHANGE_REQUESTED: (
        "Someone asked to change your email address",
        f"""On {{moment}} we received
a request to use another address for your account. The present address stays in
use until the other is confirmed.

{_NOT_YOU}
""",
    ),
    EmailKind.EMAIL_CHANGED: (
        "Your email address was changed",
        """The email address of your account was changed
on {moment}. The new address was confirmed, and this one
is not used any more.

If it was not you, contact us: this address can no longer be used to set a
password.
""",
    ),
    EmailKind.ACCOUNT_CLOSED: (
        "Your account was closed",
        """Your account was closed on {moment}.
We have erased the personal data in it.

You can open a new account with this address at once. Your National Insurance
or NHS number can be used for a new account after {held_days} days.
""",
    ),
}


def render_email(
    kind: EmailKind,
    *,
    written_at: datetime,
    link: str,
    minutes: int,
    hours: int,
    held_days: int,
) -> tuple[str, str]:
    """Return the subject and the text of an e-mail of this *kind*."""
    subject, text = _TEXTS[kind]
    moment = f"{written_at:%d %B %Y at %H:%M} UTC"
    return subject, text.format(
        moment=moment, link=link, minutes=minutes, hours=hours, held_days=held_days
    )

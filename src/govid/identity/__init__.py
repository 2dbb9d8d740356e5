"""Public API of identity: accounts, credentials, sessions, verification and life events."""

from typing import TYPE_CHECKING

from govid.bus.shared.lazy_imports import import_on_use

if TYPE_CHECKING:
    from govid.identity.accounts.operator import AccountDesk, AccountReport, refuse
    from govid.identity.life_event_kinds import Kind
    from govid.identity.module import Identity, build
    from govid.identity.reencryption import encrypted_columns
    from govid.identity.repository.key_checks import (
        forget_older_encryption_keys,
        key_faults,
        key_list,
        note_keys,
        pseudonym_usage,
    )
    from govid.identity.repository.mailbox_rows import rewrite_mailboxes
    from govid.identity.repository.reviews import SHARED, open_reviews
    from govid.identity.settings import (
        IdentityQuotas,
        IdentitySettings,
        MailSettings,
        SmtpSettings,
        ThrottleSettings,
    )
    from govid.identity.throttle.callers import network_of
    from govid.identity.tokens.keys import UnreadableKey
    from govid.identity.tokens.rotation import KeyInTheWay, Rotation, Turn
else:
    __getattr__ = import_on_use(
        __name__,
        {
            "accounts.operator": ("AccountDesk", "AccountReport", "refuse"),
            "module": ("Identity", "build"),
            "reencryption": ("encrypted_columns",),
            "repository.key_checks": (
                "forget_older_encryption_keys",
                "key_faults",
                "key_list",
                "note_keys",
                "pseudonym_usage",
            ),
            "life_event_kinds": ("Kind",),
            "repository.mailbox_rows": ("rewrite_mailboxes",),
            "repository.reviews": ("SHARED", "open_reviews"),
            "settings": (
                "IdentityQuotas",
                "IdentitySettings",
                "MailSettings",
                "SmtpSettings",
                "ThrottleSettings",
            ),
            "throttle.callers": ("network_of",),
            "tokens.keys": ("UnreadableKey",),
            "tokens.rotation": ("KeyInTheWay", "Rotation", "Turn"),
        },
    )

__all__ = [
    "SHARED",
    "AccountDesk",
    "AccountReport",
    "Identity",
    "IdentityQuotas",
    "IdentitySettings",
    "KeyInTheWay",
    "Kind",
    "MailSettings",
    "Rotation",
    "SmtpSettings",
    "ThrottleSettings",
    "Turn",
    "UnreadableKey",
    "build",
    "encrypted_columns",
    "forget_older_encryption_keys",
    "key_faults",
    "key_list",
    "network_of",
    "note_keys",
    "open_reviews",
    "pseudonym_usage",
    "refuse",
    "rewrite_mailboxes",
]

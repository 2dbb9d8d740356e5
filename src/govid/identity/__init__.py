"""Public API of identity: accounts, credentials, sessions, verification and life events."""

from typing import TYPE_CHECKING

from govid.bus.shared.lazy_imports import import_on_use

if TYPE_CHECKING:
    from govid.identity.accounts.operator import (
        AccountAdministration,
        AccountReport,
        require_status_change,
    )
    from govid.identity.life_event_kinds import LifeEventKind
    from govid.identity.module import Identity, build
    from govid.identity.reencryption import encrypted_columns
    from govid.identity.repository.key_checks import (
        configured_keys,
        delete_older_encryption_keys,
        fetch_pseudonym_usage,
        find_key_problems,
        record_keys,
    )
    from govid.identity.repository.mailbox_rows import rewrite_mailbox_keys
    from govid.identity.repository.reviews import SHARED_REASONS, count_open_reviews
    from govid.identity.settings import (
        IdentityQuotas,
        IdentitySettings,
        MailSettings,
        SmtpSettings,
        ThrottleSettings,
    )
    from govid.identity.throttle.callers import client_network
    from govid.identity.tokens.keys import UnreadableKey
    from govid.identity.tokens.rotation import KeyRotation, RotationConflict, RotationRequest
else:
    __getattr__ = import_on_use(
        __name__,
        {
            "accounts.operator": (
                "AccountAdministration",
                "AccountReport",
                "require_status_change",
            ),
            "module": ("Identity", "build"),
            "reencryption": ("encrypted_columns",),
            "repository.key_checks": (
                "delete_older_encryption_keys",
                "find_key_problems",
                "configured_keys",
                "record_keys",
                "fetch_pseudonym_usage",
            ),
            "life_event_kinds": ("LifeEventKind",),
            "repository.mailbox_rows": ("rewrite_mailbox_keys",),
            "repository.reviews": ("SHARED_REASONS", "count_open_reviews"),
            "settings": (
                "IdentityQuotas",
                "IdentitySettings",
                "MailSettings",
                "SmtpSettings",
                "ThrottleSettings",
            ),
            "throttle.callers": ("client_network",),
            "tokens.keys": ("UnreadableKey",),
            "tokens.rotation": ("RotationConflict", "KeyRotation", "RotationRequest"),
        },
    )

__all__ = [
    "SHARED_REASONS",
    "AccountAdministration",
    "AccountReport",
    "Identity",
    "IdentityQuotas",
    "IdentitySettings",
    "KeyRotation",
    "LifeEventKind",
    "MailSettings",
    "RotationConflict",
    "RotationRequest",
    "SmtpSettings",
    "ThrottleSettings",
    "UnreadableKey",
    "build",
    "client_network",
    "configured_keys",
    "count_open_reviews",
    "delete_older_encryption_keys",
    "encrypted_columns",
    "fetch_pseudonym_usage",
    "find_key_problems",
    "record_keys",
    "require_status_change",
    "rewrite_mailbox_keys",
]

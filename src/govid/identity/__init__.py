"""Public API of identity: accounts, credentials, sessions, verification and life events."""

from typing import TYPE_CHECKING

from govid.bus.shared.lazy_imports import import_on_use

if TYPE_CHECKING:
    from govid.identity.accounts.administration import (
        AccountAdministration,
        AccountReport,
        require_status_change,
    )
    from govid.identity.life_event_kinds import LifeEventKind
    from govid.identity.module import Identity, build
    from govid.identity.rate_limits.client_networks import client_network
    from govid.identity.reencryption import encrypted_columns
    from govid.identity.repository.key_checks import (
        configured_keys,
        delete_older_encryption_keys,
        fetch_pseudonym_usage,
        find_key_problems,
        record_keys,
    )
    from govid.identity.repository.reviews import (
        SHARED_REASONS,
        count_open_reviews,
        rewrite_mailbox_keys,
    )
    from govid.identity.settings import (
        IdentityQuotas,
        IdentitySettings,
        MailSettings,
        SmtpSettings,
        ThrottleSettings,
    )
    from govid.identity.tokens.key_rotation import KeyRotation, RotationConflict, RotationRequest
    from govid.identity.tokens.signing_keys import UnreadableKey
else:
    __getattr__ = import_on_use(
        __name__,
        {
            "accounts.administration": (
                "AccountAdministration",
                "AccountReport",
                "require_status_change",
            ),
            "life_event_kinds": ("LifeEventKind",),
            "module": (
                "Identity",
                "build",
            ),
            "rate_limits.client_networks": ("client_network",),
            "reencryption": ("encrypted_columns",),
            "repository.key_checks": (
                "configured_keys",
                "delete_older_encryption_keys",
                "fetch_pseudonym_usage",
                "find_key_problems",
                "record_keys",
            ),
            "repository.reviews": (
                "SHARED_REASONS",
                "count_open_reviews",
                "rewrite_mailbox_keys",
            ),
            "settings": (
                "IdentityQuotas",
                "IdentitySettings",
                "MailSettings",
                "SmtpSettings",
                "ThrottleSettings",
            ),
            "tokens.key_rotation": (
                "KeyRotation",
                "RotationConflict",
                "RotationRequest",
            ),
            "tokens.signing_keys": ("UnreadableKey",),
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

"""How processes that remember sessions hear of the end of one."""

from collections.abc import Sequence
from uuid import UUID

from govid.bus import Signals
from govid.identity.sessions.remembered import Reader, Remembered

CHANNEL = "govid_revoked"
_SESSION, _ACCOUNT = "s:", "a:"


class Announcements:
    """Tells the other processes. Those that remember nothing themselves owe it to those that do."""

    def __init__(self, signals: Signals) -> None:
        """Tell by *signals*."""
        self._signals = signals

    def tell(self, account_id: UUID, session_ids: Sequence[UUID]) -> None:
        """Let the account's sessions be forgotten elsewhere, soon."""
        if len(session_ids) == 1:
            self._signals.say(CHANNEL, f"{_SESSION}{session_ids[0]}")
        else:
            self._signals.say(CHANNEL, f"{_ACCOUNT}{account_id}")


class Revocations:
    """A memory of living sessions, and what keeps it true."""

    def __init__(self, sessions: Reader, signals: Signals) -> None:
        """Remember what *sessions* find; hear and tell of ends by *signals*."""
        self._announcements = Announcements(signals)
        self.ear = signals.ear(CHANNEL, self._heard, self._missed)
        self.sessions = Remembered(sessions, lambda: self.ear.hears)

    def tell(self, account_id: UUID, session_ids: Sequence[UUID]) -> None:
        """Forget the account's sessions, here at once and elsewhere soon."""
        self.sessions.forget(account_id)
        self._announcements.tell(account_id, session_ids)

    def _heard(self, word: str) -> None:
        try:
            subject = UUID(word[len(_SESSION) :])
        except ValueError:
            subject = None
        if subject is not None and word.startswith(_SESSION):
            self.sessions.forget_session(subject)
        elif subject is not None and word.startswith(_ACCOUNT):
            self.sessions.forget(subject)
        else:
            # A later release may know other words; what they mean is not known here.
            self.sessions.forget_all()

    def _missed(self) -> None:
        self.sessions.forget_all()

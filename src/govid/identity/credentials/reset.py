"""Setting a forgotten password, by a link in a mail."""

from functools import partial

from govid.bus import Cause, Invalid, UnitOfWork
from govid.bus.contracts import CredentialChanged, CredentialResetRequested
from govid.bus.shared.account_status import AccountStatus
from govid.identity.credentials.change import Ending
from govid.identity.errors import Fault, LinkIsSpent
from govid.identity.mail.correspondence import Correspondence
from govid.identity.passwords.hashing import Passwords
from govid.identity.passwords.policy import Policy
from govid.identity.passwords.turns import Asker
from govid.identity.repository.letters import LetterKind
from govid.identity.repository.links import Links, Purpose
from govid.identity.repository.owners import Owner, Owners
from govid.identity.rules import canonical_or_nobody
from govid.identity.schemas import ConfirmReset
from govid.identity.throttle.attempts import Flow, Throttle

REASON = "password_reset"


class PasswordReset:
    """Sends links to set a new password, and sets it for whoever follows one.

    Each step opens two transactions: the first reserves an attempt that others must see, or
    looks before a hash is made; the second trusts nothing that the first has read.
    """

    def __init__(
        self,
        uow: UnitOfWork,
        owners: Owners,
        ending: Ending,
        links: Links,
        passwords: Passwords,
        policy: Policy,
        throttle: Throttle,
        correspondence: Correspondence,
    ) -> None:
        """Admit new passwords by *policy*."""
        self._uow = uow
        self._owners = owners
        self._ending = ending
        self._links = links
        self._passwords = passwords
        self._policy = policy
        self._throttle = throttle
        self._correspondence = correspondence

    async def request(self, email: str, cause: Cause) -> None:
        """Send a link to whoever has this address.

        An address that nobody has, one that is blocked and one that asked too often cost the same
        work and get the same answer, and no mail.

        Raises:
            MailIsOff: nobody could send it.
            TooManyAttempts: the caller's network has asked too often.
        """
        self._correspondence.require()
        subject = canonical_or_nobody(email)
        attempt, found = await self._throttle.reserve(
            Flow.RESET,
            subject,
            cause,
            partial(self._owners.with_address, email_canonical=subject),
            by_network=True,
        )
        async with self._uow.begin(cause) as tx:
            first = await self._correspondence.is_first_this_hour(tx, LetterKind.RESET, subject)
            due = _if_open(found) if first or not attempt.is_locked else None
            # To the address on file, and never to the one that was typed.
            account_id, address = (None, None) if due is None else (due.id, due.email)
            letter_id = await self._correspondence.ask(
                tx, LetterKind.RESET, account_id, address, subject=subject, is_exempt=first
            )
            tx.emit(
                CredentialResetRequested(
                    request_id=letter_id, account_id=account_id, timestamp=tx.now
                )
            )
            # Each letter counts, wanted or not: they land in somebody's inbox.
            await self._throttle.fail(tx, attempt, account_id)

    async def confirm(self, request: ConfirmReset, cause: Cause) -> None:
        """Set the new password. All sessions, all other links and a lock of signing in end.

        Raises:
            LinkIsSpent: the token was used, is too old, or the account is blocked.
            Invalid: the new password is not admitted; the link stays good.
            SignInBusy: too many passwords are being hashed.
        """
        async with self._uow.begin(cause) as tx:
            promise = await self._links.find(tx, Purpose.RESET, request.token)
            owner = None if promise is None else await self._owners.find(tx, promise.account_id)
        if promise is None or owner is None:
            raise LinkIsSpent
        password_hash = await self._passwords.hash(
            self._admitted(request.password, owner), Asker.of(cause, str(owner.id))
        )
        async with self._uow.begin(cause) as tx:
            owner = _if_open(await self._owners.lock(tx, owner.id, write=True))
            if owner is None or owner.email != promise.address:
                raise LinkIsSpent
            if not await self._links.use(tx, Purpose.RESET, request.token):
                raise LinkIsSpent
            await self._owners.set_password(tx, owner.id, password_hash)
            if owner.email_confirmed_at is None:
                await self._owners.confirm_email(tx, owner.id)
            await self._ending.revoke_all(tx, owner.id, reason=REASON)
            await self._links.revoke(tx, owner.id, Purpose.RESET, Purpose.EMAIL)
            await self._correspondence.take_back(tx, owner.id)
            await self._correspondence.tell(tx, LetterKind.PASSWORD_CHANGED, owner)
            # The link proves the mailbox: what others failed at keeps its owner out no longer.
            await self._throttle.lift(tx, Flow.SIGN_IN, owner.email_canonical)
            tx.emit(CredentialChanged(account_id=owner.id, how="reset", timestamp=tx.now))

    def _admitted(self, password: str, owner: Owner) -> str:
        try:
            return self._policy.admit(
                password, email=owner.email, identifier=owner.identifier_value
            )
        except Fault as fault:
            raise Invalid.at("password", str(fault), fault.kind) from None


def _if_open(owner: Owner | None) -> Owner | None:
    return None if owner is None or owner.status == AccountStatus.BLOCKED else owner

"""The address of an account: knowing that it reaches its owner, and changing it."""

from collections.abc import Callable

from govid.bus import (
    Cause,
    Invalid,
    Principal,
    Pseudonyms,
    Quota,
    Quotas,
    Transaction,
    UnitOfWork,
    rerun_on_conflict,
)
from govid.bus.contracts import EmailChanged, EmailChangeRequested, EmailConfirmed
from govid.bus.shared.account_status import AccountStatus
from govid.identity.errors import Fault, LinkIsSpent, TooManyAttempts
from govid.identity.mail.correspondence import Correspondence
from govid.identity.passwords.reauthentication import Reauthentication
from govid.identity.repository.letters import LetterKind
from govid.identity.repository.links import Links, Promise, Purpose
from govid.identity.repository.owners import Owner, Owners
from govid.identity.rules import canonical, reachable_address
from govid.identity.schemas import ChangeEmail

LETTERS_A_DAY = 10
"""How many links to an address one account may ask for: they land in somebody's inbox."""
_DAY_SECONDS = 86_400


class EmailDesk:
    """Confirms addresses, and changes them. A new one counts once it is confirmed."""

    def __init__(
        self,
        uow: UnitOfWork,
        owners: Owners,
        links: Links,
        quotas: Quotas,
        reauthentication: Reauthentication,
        correspondence: Correspondence,
        pseudonyms: Pseudonyms,
        takes_unicode: Callable[[], bool] = lambda: True,
    ) -> None:
        """Let addresses be changed by who knows the password; count letters by *pseudonyms*."""
        self._uow = uow
        self._owners = owners
        self._links = links
        self._quotas = quotas
        self._reauthentication = reauthentication
        self._correspondence = correspondence
        self._pseudonyms = pseudonyms
        self._takes_unicode = takes_unicode

    async def ask(self, principal: Principal, cause: Cause) -> None:
        """Send a link to the principal's own address.

        Raises:
            MailIsOff: nobody could send it.
            TooManyAttempts: enough for today.
        """
        self._correspondence.require()
        async with self._uow.begin(cause) as tx:
            owner = await self._owners.lock(tx, principal.account_id, write=False)
            if owner is not None:
                await self._count(tx, owner)
                await self._correspondence.ask(
                    tx,
                    LetterKind.EMAIL_CONFIRMATION,
                    owner.id,
                    owner.email,
                    subject=canonical(owner.email),
                )

    async def change(self, request: ChangeEmail, principal: Principal, cause: Cause) -> None:
        """Send a link to another address, and tell the old one.

        Whether the other address is anybody's is not told: the answer and the work are the same,
        and a link is sent only where it can be followed.

        Raises:
            Invalid: it is no address.
            PasswordNotConfirmed: the password is not right.
            MailIsOff: nobody could send the link.
            TooManyAttempts: enough for today.
        """
        self._correspondence.require()
        try:
            address = reachable_address(request.email, unicode=self._takes_unicode())
        except Fault as fault:
            raise Invalid.at("email", str(fault), fault.kind) from None
        async with (
            self._reauthentication.proved(principal, request.password, cause) as proof,
            self._uow.begin(cause) as tx,
        ):
            owner = await self._reauthentication.confirm(tx, proof)
            await self._count(tx, owner)
            await self._correspondence.ask(
                tx, LetterKind.EMAIL_CHANGE, owner.id, address, subject=canonical(address)
            )
            await self._correspondence.tell(tx, LetterKind.EMAIL_CHANGE_REQUESTED, owner)
            tx.emit(EmailChangeRequested(account_id=owner.id, timestamp=tx.now))

    @rerun_on_conflict
    async def confirm(self, token: str, cause: Cause) -> None:
        """Do what the link promised: confirm the address, or make the new one the account's.

        Raises:
            LinkIsSpent: the token was used, is too old, or the account is blocked.
            EmailTaken: meanwhile somebody else has the new address.
        """
        async with self._uow.begin(cause) as tx:
            promise = await self._links.find(tx, Purpose.EMAIL, token)
            if promise is None:
                raise LinkIsSpent
            owner = await self._owners.lock(tx, promise.account_id, write=True)
            if owner is None or owner.status == AccountStatus.BLOCKED:
                raise LinkIsSpent
            if not await self._links.use(tx, Purpose.EMAIL, token):
                raise LinkIsSpent
            if promise.address == owner.email:
                await self._owners.confirm_email(tx, owner.id)
                tx.emit(EmailConfirmed(account_id=owner.id, timestamp=tx.now))
            else:
                await self._move(tx, owner, promise)

    async def _move(self, tx: Transaction, owner: Owner, promise: Promise) -> None:
        await self._owners.set_email(tx, owner.id, promise.address, canonical(promise.address))
        # What was sent to the old address opens nothing any more.
        await self._links.revoke(tx, owner.id, Purpose.RESET, Purpose.EMAIL)
        await self._correspondence.take_back(tx, owner.id)
        await self._correspondence.tell(tx, LetterKind.EMAIL_CHANGED, owner)
        tx.emit(EmailChanged(account_id=owner.id, timestamp=tx.now))

    async def _count(self, tx: Transaction, owner: Owner) -> None:
        quota = Quota(
            kind="letters",
            bucket=self._pseudonyms.of(f"letters:{owner.id}"),
            most=LETTERS_A_DAY,
            seconds=_DAY_SECONDS,
        )
        seconds = await self._quotas.count(tx, [quota])
        if seconds is not None:
            raise TooManyAttempts(retry_after_seconds=seconds)

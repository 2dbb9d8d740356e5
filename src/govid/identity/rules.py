"""Validates a registration by the rules that need no database.

The rules are not part of the request struct, because three of them are settings. All invalid
fields are found before the error is raised, so that a client can correct the form in one go.
"""

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec
import phonenumbers
from email_validator import EmailNotValidError, validate_email

from govid.bus import FieldProblem, InvalidRequest
from govid.bus.contracts import IdentifierType
from govid.bus.contracts.facts import ClaimedFacts
from govid.bus.shared.identifiers import drop_separators, normalise_identifier
from govid.bus.shared.mailboxes import mailbox_key
from govid.identity.errors import FieldError
from govid.identity.facts import claimed_facts
from govid.identity.passwords.policy import PasswordPolicy, is_unicode
from govid.identity.schemas import Register

EMAIL_MAX_OCTETS = 254

_reason = phonenumbers.is_possible_number_with_reason
_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_IDENTIFIER_FAULT = {IdentifierType.NIN: "nino_format", IdentifierType.NHS: "nhs_number_format"}

T = TypeVar("T")


class ValidRegistration(msgspec.Struct, frozen=True, kw_only=True):
    """A registration whose fields are all well-formed and in canonical form."""

    email: str
    email_canonical: str
    password: str
    identifier_type: IdentifierType
    identifier_value: str
    phone_number: str | None
    facts: ClaimedFacts | None = None

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<ValidRegistration>"


class RegistrationRules:
    """Validates and normalises the fields of a registration."""

    def __init__(
        self,
        policy: PasswordPolicy,
        *,
        accept_prototype_nhs: bool,
        accepts_unicode: Callable[[], bool] = lambda: True,
    ) -> None:
        """Check passwords by *policy*.

        *accepts_unicode* returns whether e-mail can be sent to an address with non-ASCII letters.
        """
        self._policy = policy
        self._accepts_unicode = accepts_unicode
        self._accept_prototype_nhs = accept_prototype_nhs

    def validate(self, request: Register) -> ValidRegistration:
        """Return *request* in canonical form.

        Raises:
            Invalid: one or more fields are not well-formed. The error names each of them.
        """
        faults: list[FieldProblem] = []

        def read(field: str, rule: Callable[[], T]) -> T | None:
            try:
                return rule()
            except FieldError as fault:
                faults.append(FieldProblem(loc=("body", field), msg=str(fault), type=fault.kind))
                return None

        email = read(
            "email",
            lambda: normalise_deliverable_email(request.email, unicode=self._accepts_unicode()),
        )
        password = read("password", lambda: self._password(request))
        identifier = read("identifierValue", lambda: self._identifier(request))
        phone = read("phoneNumber", lambda: normalise_phone_number(request.phone_number))
        try:
            facts = claimed_facts(request, identifier_type=request.identifier_type)
        except InvalidRequest as invalid:
            faults.extend(invalid.faults)
        if faults or email is None or password is None or identifier is None:
            raise InvalidRequest(
                "; ".join(f"{f.loc[-1]}: {f.msg}" for f in faults), faults=tuple(faults)
            )
        return ValidRegistration(
            email=email,
            email_canonical=canonical_email(email),
            password=password,
            identifier_type=request.identifier_type,
            identifier_value=identifier,
            phone_number=phone,
            facts=facts,
        )

    def _password(self, request: Register) -> str:
        number = drop_separators(request.identifier_value)
        return self._policy.validate(request.password, email=request.email, identifier=number)

    def _identifier(self, request: Register) -> str:
        try:
            return normalise_identifier(
                request.identifier_type,
                request.identifier_value,
                prototype_form=self._accept_prototype_nhs,
            )
        except ValueError as error:
            raise FieldError(_IDENTIFIER_FAULT[request.identifier_type], str(error)) from error


def normalise_email(text: str) -> str:
    """Return the e-mail address *text* with its domain in lower-case ASCII.

    Does not check that the address exists.

    Raises:
        FieldError: *text* is too long or not an e-mail address.
    """
    if not is_unicode(text):
        raise FieldError("email_format", "is not valid Unicode text")
    _refuse_long_address(text)
    try:
        parts = validate_email(text, check_deliverability=False)
    except EmailNotValidError:
        # `from None`, because the messages of the library contain the address.
        raise FieldError("email_format", "is not an e-mail address") from None
    address = f"{parts.local_part}@{parts.ascii_domain}"
    _refuse_long_address(address)
    return address


def normalise_deliverable_email(text: str, *, unicode: bool) -> str:
    """Return the normalised e-mail address *text* if e-mail can be sent to it.

    Raises:
        FieldError: *text* is not an e-mail address, or it has non-ASCII letters and the mail server
            does not accept them (*unicode* is false).
    """
    address = normalise_email(text)
    if not unicode and not address.isascii():
        raise FieldError(
            "email_not_reachable",
            "has letters that our mail server does not support; use an address with a to z only",
        )
    return address


def canonical_email(address: str) -> str:
    """Return the canonical form of *address*, equal for all its spellings. `+` tags are kept."""
    return mailbox_key(address)


def canonical_email_or_empty(address: str) -> str:
    """Return the canonical form of *address*, or an empty string if it is not an address.

    No account has the empty address, so that a caller looks both up in the same way.
    """
    try:
        return canonical_email(normalise_email(address))
    except FieldError:
        return ""


def normalise_phone_number(text: str | None) -> str | None:
    """Return the telephone number *text* in E.164 form. Spaces and hyphens are removed.

    Raises:
        FieldError: *text* does not begin with a country code, or cannot be dialled from abroad.
    """
    if text is None:
        return None
    compact = drop_separators(text)
    if _E164.fullmatch(compact):
        try:
            number = phonenumbers.parse(compact)
        except phonenumbers.NumberParseException:
            number = None
        # Numbers of some lengths are possible only locally, within their area: they are rejected.
        if number is not None and _reason(number) == phonenumbers.ValidationResult.IS_POSSIBLE:
            return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    raise FieldError("phone_number_format", "is not a telephone number in E.164 form")


def _refuse_long_address(address: str) -> None:
    if len(address.encode()) > EMAIL_MAX_OCTETS:
        raise FieldError("email_too_long", f"has more than {EMAIL_MAX_OCTETS} octets")

"""What a registration may look like: the rules that need no database.

They stand beside the struct and not inside it because three of them are settings. All faults are
found before any is reported, so that a form is corrected once.
"""

import re
import unicodedata
from collections.abc import Callable
from typing import TypeVar

import msgspec
import phonenumbers
from email_validator import EmailNotValidError, validate_email

from govid.bus import FieldFault, Invalid
from govid.bus.contracts import IdentifierType
from govid.bus.contracts.identifiers import normalise
from govid.identity.schemas import Register

EMAIL_MAX_OCTETS = 254
PASSWORD_MIN_LENGTH = 8
PASSWORD_MAX_LENGTH = 256

_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_IDENTIFIER_FAULT = {IdentifierType.NIN: "nino_format", IdentifierType.NHS: "nhs_number_format"}

T = TypeVar("T")


class Fault(ValueError):
    """One field is not right; the message may be shown and never holds the value."""

    def __init__(self, kind: str, message: str) -> None:
        """Say what is wrong, for machines and for people."""
        self.kind = kind
        super().__init__(message)


class Applicant(msgspec.Struct, frozen=True, kw_only=True):
    """A registration whose every field is well-formed and in its one canonical form."""

    email: str
    email_canonical: str
    password: str
    identifier_type: IdentifierType
    identifier_value: str
    phone_number: str | None

    def __repr__(self) -> str:
        """Name the struct only (I9)."""
        return "<Applicant>"


class Rules:
    """Turns a request to register into an applicant."""

    def __init__(self, *, password_min_length: int, accept_prototype_nhs: bool) -> None:
        """Apply these settings; the contract's eight characters are the least."""
        if not PASSWORD_MIN_LENGTH <= password_min_length <= PASSWORD_MAX_LENGTH:
            raise ValueError(
                f"the least length of a password is {PASSWORD_MIN_LENGTH} to {PASSWORD_MAX_LENGTH}"
            )
        self._password_min_length = password_min_length
        self._accept_prototype_nhs = accept_prototype_nhs

    def admit(self, request: Register) -> Applicant:
        """Return *request* in canonical form.

        Raises:
            Invalid: one or more fields are not well-formed; each is named.
        """
        faults: list[FieldFault] = []

        def read(field: str, rule: Callable[[], T]) -> T | None:
            try:
                return rule()
            except Fault as fault:
                faults.append(FieldFault(loc=("body", field), msg=str(fault), type=fault.kind))
                return None

        email = read("email", lambda: email_address(request.email))
        password = read("password", lambda: self.password(request.password))
        identifier = read("identifierValue", lambda: self._identifier(request))
        phone = read("phoneNumber", lambda: phone_number(request.phone_number))
        if faults or email is None or password is None or identifier is None:
            raise Invalid("; ".join(f"{f.loc[-1]}: {f.msg}" for f in faults), faults=tuple(faults))
        return Applicant(
            email=email,
            email_canonical=canonical(email),
            password=password,
            identifier_type=request.identifier_type,
            identifier_value=identifier,
            phone_number=phone,
        )

    def password(self, text: str) -> str:
        """Return *text* in the form that is hashed.

        Length is counted in code points of form NFKC, so that one text typed on two devices is
        one password; the longest is also counted as sent, as that form may be longer by far.

        Raises:
            Fault: it is too short, too long or no Unicode text.
        """
        if not _is_unicode(text):
            raise Fault("password_not_text", "is not valid Unicode text")
        if len(text) > PASSWORD_MAX_LENGTH or len(normal(text)) > PASSWORD_MAX_LENGTH:
            raise Fault("password_too_long", f"has more than {PASSWORD_MAX_LENGTH} characters")
        if len(normal(text)) < self._password_min_length:
            raise Fault(
                "password_too_short", f"has fewer than {self._password_min_length} characters"
            )
        return normal(text)

    def _identifier(self, request: Register) -> str:
        try:
            return normalise(
                request.identifier_type,
                request.identifier_value,
                prototype_form=self._accept_prototype_nhs,
            )
        except ValueError as error:
            raise Fault(_IDENTIFIER_FAULT[request.identifier_type], str(error)) from error


def normal(password: str) -> str:
    """Return *password* in form NFKC."""
    return unicodedata.normalize("NFKC", password)


def email_address(text: str) -> str:
    """Return the e-mail address *text* with its domain in lower-case ASCII.

    Raises:
        Fault: it is too long or no address. Nobody is asked whether it exists.
    """
    if not _is_unicode(text):
        raise Fault("email_format", "is not valid Unicode text")
    _refuse_long_address(text)
    try:
        parts = validate_email(text, check_deliverability=False)
    except EmailNotValidError:
        # From None: the library's texts quote the address.
        raise Fault("email_format", "is not an e-mail address") from None
    address = f"{parts.local_part}@{parts.ascii_domain}"
    _refuse_long_address(address)
    return address


def canonical(address: str) -> str:
    """Return the form in which two spellings of one *address* are equal. Plus stays plus."""
    local, _, domain = address.rpartition("@")
    return f"{local.casefold()}@{domain.lower()}"


def phone_number(text: str | None) -> str | None:
    """Return the telephone number *text* in E.164 form; spaces and hyphens are forgiven.

    Raises:
        Fault: it does not begin with a country's code, or no number there is like it.
    """
    if text is None:
        return None
    compact = text.replace(" ", "").replace("-", "")
    if _E164.fullmatch(compact):
        try:
            number = phonenumbers.parse(compact)
        except phonenumbers.NumberParseException:
            number = None
        if number is not None and phonenumbers.is_possible_number(number):
            return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    raise Fault("phone_number_format", "is not a telephone number in E.164 form")


def _refuse_long_address(address: str) -> None:
    if len(address.encode()) > EMAIL_MAX_OCTETS:
        raise Fault("email_too_long", f"has more than {EMAIL_MAX_OCTETS} octets")


def _is_unicode(text: str) -> bool:
    """Tell whether *text* can be encoded: a lone surrogate cannot, and reaches us as JSON."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True

"""Validates and normalises a registration and claimed facts, by rules that need no database.

The rules are not part of the request structs, because three of them are settings. All invalid
fields are found before the error is raised, so that a client can correct the form in one go.
"""

import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Protocol, TypeVar

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from govid.bus import FieldFault, InvalidRequest
from govid.bus.events import IdentifierType
from govid.bus.shared.email_addresses import mailbox_key
from govid.bus.shared.identifiers import ClaimedFacts, drop_separators, normalise_identifier
from govid.bus.shared.names import HMRC_NAME_MAX, first_given_name, hmrc_spellings, is_joiner
from govid.bus.shared.plain_text import is_plain_line
from govid.bus.shared.privacy import RedactedStruct
from govid.identity.errors import FieldError
from govid.identity.password_policy import PasswordPolicy, is_unicode
from govid.identity.schemas import Register

NAME_MAX = 100
LONGEST_LIFE_YEARS = 130

_POSTCODE = re.compile(r"(?:GIR|[A-Z]{1,2}[0-9][A-Z0-9]?)[0-9][A-Z]{2}")
_NOT_SENDABLE = (
    "cannot be sent to HMRC, whose form takes the letters A to Z and at most"
    f" {HMRC_NAME_MAX} characters"
)
_INWARD = 3
"""Number of characters of a postcode after the space."""


class FactsRequest(Protocol):
    """A request that may contain claimed facts."""

    @property
    def given_name(self) -> str | None:
        """All given names, or the first."""

    @property
    def family_name(self) -> str | None:
        """The family name."""

    @property
    def date_of_birth(self) -> date | None:
        """The date of birth."""

    @property
    def postcode(self) -> str | None:
        """The postcode of the home address."""


def today_in_utc() -> date:
    """Return the current date in UTC."""
    return datetime.now(UTC).date()


def validate_claimed_facts(
    request: FactsRequest,
    now: Callable[[], date] = today_in_utc,
    *,
    identifier_type: IdentifierType | str | None = None,
) -> ClaimedFacts | None:
    """Return the facts that *request* claims, or None if it claims none.

    The given name is optional, because some people have only one name. With a National Insurance
    number (*identifier_type*) both names are required, in letters that HMRC's form accepts.

    Raises:
        InvalidRequest: a fact is not well-formed, or the name or the date of birth is missing.
            The error names each such field.
    """
    to_hmrc = identifier_type == IdentifierType.NIN
    given_name, family_name, birth_date = (
        request.given_name,
        request.family_name,
        request.date_of_birth,
    )
    if all(fact is None for fact in (given_name, family_name, birth_date, request.postcode)):
        return None
    problems: list[FieldFault] = []

    def read(field: str, rule: Callable[[], str | date]) -> None:
        try:
            rule()
        except FieldError as fault:
            problems.append(FieldFault(loc=("body", field), msg=str(fault), type=fault.kind))

    if given_name is not None or family_name is None or to_hmrc:
        read(
            "givenName", lambda: _normalise_name_part(given_name, first_given_name, to_hmrc=to_hmrc)
        )
    read("familyName", lambda: _normalise_name_part(family_name, str, to_hmrc=to_hmrc))
    read("dateOfBirth", lambda: validate_date_of_birth(birth_date, now()))
    read("postcode", lambda: normalise_postcode(request.postcode) or "")
    if problems:
        raise InvalidRequest(
            "; ".join(f"{f.loc[-1]}: {f.msg}" for f in problems), field_problems=tuple(problems)
        )
    return ClaimedFacts(
        given_name=None if given_name is None else normalise_name(given_name),
        family_name=normalise_name(family_name),
        date_of_birth=validate_date_of_birth(birth_date, now()),
        postcode=normalise_postcode(request.postcode),
    )


def normalise_name(text: str | None) -> str:
    """Return the name *text* in its composed form, with single spaces.

    Raises:
        FieldError: *text* is missing, has no letter, is too long, or has characters of no name.
    """
    if text is None:
        raise FieldError("missing", "is needed with the other facts")
    if not is_unicode(text):
        raise FieldError("name_format", "is not valid Unicode text")
    if len(text) > NAME_MAX:
        raise FieldError("name_too_long", f"has more than {NAME_MAX} characters")
    if not is_plain_line(text):
        # This check comes before spaces are joined, because some of these characters are spaces.
        raise FieldError("name_format", "contains characters that no name has")
    whole = " ".join(unicodedata.normalize("NFC", text).split())
    # Categories C: control characters, direction marks and unassigned code points.
    if any(
        unicodedata.category(letter).startswith("C") and not is_joiner(whole, place)
        for place, letter in enumerate(whole)
    ):
        raise FieldError("name_format", "contains characters that no name has")
    if not any(letter.isalpha() for letter in whole):
        raise FieldError("name_format", "has no letter")
    return whole


def _normalise_name_part(
    text: str | None, part_sent: Callable[[str], str], *, to_hmrc: bool
) -> str:
    """Return the normalised name *text*; *part_sent* returns the part that a department receives.

    Raises:
        FieldError: *text* is not a name, or HMRC's form does not accept it.
    """
    if to_hmrc and text is None:
        raise FieldError("missing", "is needed: HMRC's form has a given name and a family name")
    whole = normalise_name(text)
    if to_hmrc:
        try:
            hmrc_spellings(part_sent(whole))
        except ValueError:
            raise FieldError("name_not_sendable", _NOT_SENDABLE) from None
    return whole


def validate_date_of_birth(day: date | None, now: date) -> date:
    """Return the date of birth *day*.

    Raises:
        FieldError: *day* is missing, in the future, or more than `LONGEST_LIFE_YEARS` ago.
    """
    if day is None:
        raise FieldError("missing", "is needed with the other facts")
    if day > now:
        raise FieldError("date_in_future", "is in the future")
    if day.year < now.year - LONGEST_LIFE_YEARS:
        raise FieldError("date_too_old", f"is more than {LONGEST_LIFE_YEARS} years ago")
    return day


def normalise_postcode(text: str | None) -> str | None:
    """Return the postcode *text* in capitals with one space.

    Does not check that the postcode exists.

    Raises:
        FieldError: *text* does not have the format of a postcode of the United Kingdom.
    """
    if text is None:
        return None
    # This check comes before the change of case: the capital of a dotless i is an ASCII letter.
    compact = drop_separators("".join(text.split()))
    compact = compact.upper() if compact.isascii() else ""
    if not _POSTCODE.fullmatch(compact):
        raise FieldError("postcode_format", "is not a postcode, as in LS1 6AE")
    return f"{compact[:-_INWARD]} {compact[-_INWARD:]}"


EMAIL_MAX_OCTETS = 254

_reason = phonenumbers.is_possible_number_with_reason
_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_IDENTIFIER_FAULT = {IdentifierType.NIN: "nino_format", IdentifierType.NHS: "nhs_number_format"}

T = TypeVar("T")


class ValidRegistration(RedactedStruct, frozen=True, kw_only=True):
    """A registration whose fields are all well-formed and in canonical form."""

    email: str
    email_canonical: str
    password: str
    identifier_type: IdentifierType
    identifier_value: str
    phone_number: str | None
    facts: ClaimedFacts | None = None


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
            InvalidRequest: one or more fields are not well-formed. The error names each of them.
        """
        problems: list[FieldFault] = []

        def read(field: str, rule: Callable[[], T]) -> T | None:
            try:
                return rule()
            except FieldError as fault:
                problems.append(FieldFault(loc=("body", field), msg=str(fault), type=fault.kind))
                return None

        email = read(
            "email",
            lambda: normalise_deliverable_email(request.email, unicode=self._accepts_unicode()),
        )
        password = read("password", lambda: self._validate_password(request))
        identifier = read("identifierValue", lambda: self._validate_identifier(request))
        phone = read("phoneNumber", lambda: normalise_phone_number(request.phone_number))
        try:
            facts = validate_claimed_facts(request, identifier_type=request.identifier_type)
        except InvalidRequest as invalid:
            problems.extend(invalid.field_problems)
        if problems or email is None or password is None or identifier is None:
            raise InvalidRequest(
                "; ".join(f"{f.loc[-1]}: {f.msg}" for f in problems), field_problems=tuple(problems)
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

    def _validate_password(self, request: Register) -> str:
        number = drop_separators(request.identifier_value)
        return self._policy.validate(request.password, email=request.email, identifier=number)

    def _validate_identifier(self, request: Register) -> str:
        try:
            return normalise_identifier(
                request.identifier_type,
                request.identifier_value,
                accept_prototype_nhs=self._accept_prototype_nhs,
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

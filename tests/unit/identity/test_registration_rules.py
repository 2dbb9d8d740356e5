"""Validation of registrations."""

import unicodedata
from typing import Any

import msgspec
import pytest

from govid.bus import InvalidRequest
from govid.bus.events import IdentifierType
from govid.identity.errors import FieldError
from govid.identity.password_policy import PasswordPolicy
from govid.identity.schemas import Register
from govid.identity.validation import (
    RegistrationRules,
    ValidRegistration,
    canonical_email,
    normalise_deliverable_email,
    normalise_email,
    normalise_phone_number,
)

RULES = RegistrationRules(
    PasswordPolicy(min_length=8, refuse_guessable=False), accept_prototype_nhs=True
)
STRICT = RegistrationRules(
    PasswordPolicy(min_length=15, refuse_guessable=False), accept_prototype_nhs=False
)
PLAIN = Register(
    email="test.nin@example.com",
    password="password123",
    identifier_type=IdentifierType.NIN,
    identifier_value="AB123456C",
    phone_number="+447123456789",
)


def admit(rules: RegistrationRules = RULES, **changes: Any) -> ValidRegistration:
    return rules.validate(msgspec.structs.replace(PLAIN, **changes))


def faults(rules: RegistrationRules = RULES, **changes: Any) -> list[tuple[Any, str]]:
    with pytest.raises(InvalidRequest) as refusal:
        admit(rules, **changes)
    return [(fault.loc, fault.type) for fault in refusal.value.field_problems]


def test_the_contracts_examples_are_admitted() -> None:
    assert admit().identifier_value == "AB123456C"
    nhs = admit(
        identifier_type=IdentifierType.NHS, identifier_value="NHS123456789", phone_number=None
    )
    assert nhs.identifier_value == "NHS123456789"


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("Ada@Example.COM", "Ada@example.com"),
        ("ada+tag@example.com", "ada+tag@example.com"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("ada@xn--bcher-kva.example", "ada@xn--bcher-kva.example"),
        ("ä@example.com", "ä@example.com"),
    ],
)
def test_an_address_keeps_its_local_part_and_gets_an_ascii_domain(
    written: str, stored: str
) -> None:
    assert normalise_email(written) == stored


@pytest.mark.parametrize(
    "email",
    [
        "",
        "ada",
        "ada@",
        "@example.com",
        "ada@localhost",
        "ada@[127.0.0.1]",
        '"a b"@example.com',
        "ada@example.com\r\nBcc: eve@example.com",
        "a\tda@example.com",
        "ada@exa mple.com",
        "ada@example..com",
        "ada@example.com.",
        "\ud800@example.com",
        "a\0b@example.com",
        "Ada <ada@example.com>",
    ],
)
def test_what_is_no_address_is_refused_without_being_quoted(email: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        admit(email=email)
    (fault,) = refusal.value.field_problems
    assert (fault.loc, fault.type) == (("body", "email"), "email_format")
    assert fault.msg in {"is not an e-mail address", "is not valid Unicode text"}
    assert refusal.value.detail == f"email: {fault.msg}"


@pytest.mark.parametrize(
    "email", ["a" * 300 + "@example.com", "a@" + "b." * 125 + "example", "ä" * 130 + "@example.com"]
)
def test_an_address_of_more_than_254_octets_is_too_long(email: str) -> None:
    assert faults(email=email) == [(("body", "email"), "email_too_long")]


def test_spellings_of_one_address_have_one_canonical_form() -> None:
    assert canonical_email("STRASSE@Example.com") == canonical_email("strasse@example.COM")
    assert canonical_email("ada+a@example.com") != canonical_email("ada@example.com")


@pytest.mark.parametrize(
    "password",
    [
        "password",
        "p" * 256,
        "        ",
        "pass word",
        "🔑" * 64,
        "\u202epassword",
        "pass\u0000word",
        "ﬃﬃﬃ",
    ],
)
def test_any_composition_of_8_to_256_code_points_is_a_password(password: str) -> None:
    assert admit(password=password).password == unicodedata.normalize("NFKC", password)


def test_one_text_from_two_devices_is_one_password() -> None:
    composed, decomposed = "passwörd", "passwo\u0308rd"
    assert composed != decomposed
    assert admit(password=composed).password == admit(password=decomposed).password


@pytest.mark.parametrize(
    ("password", "kind"),
    [
        ("", "password_too_short"),
        ("passwor", "password_too_short"),
        ("🔑" * 7, "password_too_short"),
        ("o\u0308" * 7, "password_too_short"),
        ("p" * 257, "password_too_long"),
        ("\ufdfa" * 20, "password_too_long"),
        ("o\u0308" * 129, "password_too_long"),
        ("p" * 1_000_000, "password_too_long"),
        ("passwor\ud800", "password_not_text"),
    ],
)
def test_other_passwords_are_refused_by_name(password: str, kind: str) -> None:
    assert faults(password=password) == [(("body", "password"), kind)]


def test_settings_may_ask_for_longer_passwords() -> None:
    assert faults(STRICT, password="p" * 14) == [(("body", "password"), "password_too_short")]
    assert admit(STRICT, password="p" * 15).password == "p" * 15


@pytest.mark.parametrize("length", [7, 0, 257])
def test_settings_may_not_ask_for_shorter_ones_than_the_contract(length: int) -> None:
    with pytest.raises(ValueError, match="8 to 256"):
        PasswordPolicy(min_length=length, refuse_guessable=False)


@pytest.mark.parametrize(
    ("identifier_type", "value", "kind"),
    [
        (IdentifierType.NIN, "AB123456E", "nino_format"),
        (IdentifierType.NIN, "", "nino_format"),
        (IdentifierType.NHS, "943 476 5918", "nhs_number_format"),
        (IdentifierType.NHS, "AB123456C", "nhs_number_format"),
    ],
)
def test_a_malformed_identifier_names_its_field(
    identifier_type: IdentifierType, value: str, kind: str
) -> None:
    assert faults(identifier_type=identifier_type, identifier_value=value) == [
        (("body", "identifierValue"), kind)
    ]


def test_the_prototypes_form_needs_a_simulated_department() -> None:
    assert faults(
        STRICT,
        password="p" * 15,
        identifier_type=IdentifierType.NHS,
        identifier_value="NHS123456789",
    ) == [(("body", "identifierValue"), "nhs_number_format")]


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        (None, None),
        ("+447123456789", "+447123456789"),
        ("+44 7123 456-789", "+447123456789"),
        ("+4407123456789", "+447123456789"),
    ],
)
def test_a_telephone_number_is_stored_as_e164(written: str | None, stored: str | None) -> None:
    assert normalise_phone_number(written) == stored


@pytest.mark.parametrize(
    "phone",
    [
        "",
        "07123456789",
        "+44",
        "+0447123456789",
        "+99912345678",
        "+44712345678901234567",
        "tel:+447123456789",
        "+447123456789;ext=5",
        "+٤٤٧١٢٣٤٥٦٧٨٩",
        "+44712345678x",
    ],
)
def test_what_is_no_telephone_number_is_refused(phone: str) -> None:
    assert faults(phone_number=phone) == [(("body", "phoneNumber"), "phone_number_format")]


def test_all_faults_are_named_at_once_and_no_value_is_echoed() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        admit(
            email="canary1", password="canary2", identifier_value="canary3", phone_number="canary4"
        )
    assert [fault.loc[-1] for fault in refusal.value.field_problems] == [
        "email",
        "password",
        "identifierValue",
        "phoneNumber",
    ]
    assert "canary" not in refusal.value.detail
    assert "canary" not in repr(refusal.value.field_problems)


@pytest.mark.parametrize(
    "pasted", ["\u00a0", "\u202f", "\u2011", "\u2013", "\u2212", "\u202c", "\u200e"]
)
def test_b6_what_is_pasted_into_a_telephone_number_is_dropped(pasted: str) -> None:
    assert (
        normalise_phone_number(f"{pasted}+44{pasted}7700{pasted}900123{pasted}") == "+447700900123"
    )


@pytest.mark.parametrize(
    "phone",
    [
        pytest.param("+442079", id="too short from abroad"),
        pytest.param("+15550100", id="without its area code"),
        pytest.param("+4930", id="an area code alone"),
        pytest.param("+4479460958", id="local in London"),
        pytest.param("+3312345", id="local in France"),
    ],
)
def test_b7_a_number_that_cannot_be_dialled_from_abroad_is_refused(phone: str) -> None:
    assert faults(phone_number=phone) == [(("body", "phoneNumber"), "phone_number_format")]


@pytest.mark.parametrize("phone", ["+442079460958", "+12125550100", "+4930123456", "+6421123456"])
def test_b7_a_number_that_can_be_dialled_from_abroad_is_stored(phone: str) -> None:
    assert normalise_phone_number(phone) == phone


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("strasse@example.com", "straße@example.com"),
        ("office@example.com", "o\ufb03ce@example.com"),
        ("mass@example.com", "ma\u017f\u017f@example.com"),
        ("i@example.com", "\u0131@example.com"),
    ],
)
def test_b9_what_only_folding_makes_equal_are_two_mailboxes(one: str, other: str) -> None:
    assert canonical_email(one) != canonical_email(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("STRAßE@example.com", "straße@EXAMPLE.com"),
        ("Jose\u0301@example.com", "jos\u00e9@example.com"),
        ("ÅSA@example.com", "a\u030asa@example.com"),
        ("ΣΑΣ@example.com", "σας@example.com"),
    ],
)
def test_b9_case_and_composition_make_no_second_mailbox(one: str, other: str) -> None:
    assert canonical_email(one) == canonical_email(other)


@pytest.mark.parametrize("email", ["josé@example.com", "用户@example.com", "straße@example.com"])
def test_b10_an_address_that_mail_cannot_reach_is_refused(email: str) -> None:
    with pytest.raises(FieldError) as refusal:
        normalise_deliverable_email(email, unicode=False)
    assert refusal.value.kind == "email_not_reachable"
    assert email not in str(refusal.value)
    assert normalise_deliverable_email(email, unicode=True) == email


@pytest.mark.parametrize("email", ["ada@example.com", "ada@bücher.example", "ada+a@example.com"])
def test_b10_an_address_in_ascii_is_always_reachable(email: str) -> None:
    assert normalise_deliverable_email(email, unicode=False).isascii()


def test_b10_registration_names_the_field() -> None:
    rules = RegistrationRules(
        PasswordPolicy(min_length=8, refuse_guessable=False),
        accept_prototype_nhs=True,
        accepts_unicode=lambda: False,
    )
    assert faults(rules, email="josé@example.com") == [(("body", "email"), "email_not_reachable")]

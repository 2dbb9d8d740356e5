"""Identifiers: one canonical form each, and nothing that only looks like one."""

import pytest

from tests.http.client import NHS, NIN, Client


@pytest.mark.parametrize(
    "nino",
    [
        *(f"{prefix}123456C" for prefix in ("BG", "GB", "NK", "KN", "TN", "NT", "ZZ")),
        *(f"{letter}B123456C" for letter in "DFIQUV"),
        *(f"A{letter}123456C" for letter in "DFIOQUV"),
        "AB123456E",
        "AB123456",
        "AB12345C",
        "AB1234567C",
        "ＡＢ１２３４５６Ｃ",  # full-width
        "АВ123456С",  # Cyrillic
        "AB١٢٣٤٥٦C",  # Arabic-Indic
        "AB123456C\n",
        "AB.12.34.56.C",
        "AB123456C' OR '1'='1",
        "${jndi:ldap://evil.example/a}",
        "",
        " ",
        "\u202eC654321BA",
    ],
)
async def test_what_is_no_national_insurance_number_is_a_422(visitor: Client, nino: str) -> None:
    answer = await visitor.register(NIN, email="nino@example.com", identifierValue=nino)
    assert answer.status_code == 422
    assert [fault["loc"] for fault in answer.json()["errors"]] == [["body", "identifierValue"]]
    assert nino.strip() == "" or nino not in answer.text


@pytest.mark.parametrize(
    "number",
    [
        "9434765918",  # a wrong check digit
        "1000000010",  # whose check digit would be 10
        "943476591",
        "94347659190",
        "0000000000",
        "1111111111",
        "٩٤٣٤٧٦٥٩١٩",  # Arabic-Indic
        "９４３４７６５９１９",  # full-width
        "943.476.5919",
        "9434765919 OR 1=1",
        "NHS12345678",
        "NHS1234567890",
        "NHS12345678x",
    ],
)
async def test_what_is_no_nhs_number_is_a_422(visitor: Client, number: str) -> None:
    answer = await visitor.register(NHS, email="nhs@example.com", identifierValue=number)
    assert answer.status_code == 422
    assert [fault["type"] for fault in answer.json()["errors"]] == ["nhs_number_format"]
    assert number not in answer.text


@pytest.mark.parametrize(
    ("kind", "first", "second", "canonical"),
    [
        ("NIN", "ab 12 34 56 c", "AB123456C", "AB123456C"),
        ("NIN", "AB123456C", "aB12 3456c", "AB123456C"),
        ("NHS", "943 476 5919", "9434765919", "9434765919"),
        ("NHS", "943-476-5919", "943 476 5919", "9434765919"),
        ("NHS", "nhs123456789", "NHS123456789", "NHS123456789"),
        ("NIN", "AB\u201112\u201134\u201156\u2011C", "AB123456C\u200b", "AB123456C"),
        ("NHS", "943\u00a0476\u00a05919", "\u202a943--476-5919\u202c", "9434765919"),
    ],
)
async def test_two_spellings_are_one_identifier(
    client: Client, kind: str, first: str, second: str, canonical: str
) -> None:
    one = await client.register(NIN, identifierType=kind, identifierValue=first)
    assert one.status_code == 201
    assert one.json()["identifierValue"] == canonical
    other = await client.register(
        NIN, email="other@example.com", identifierType=kind, identifierValue=second
    )
    assert other.status_code == 400
    assert other.json()["detail"] == f"A user with this {kind} already exists"


@pytest.mark.parametrize(
    "email",
    [
        "TEST.NIN@EXAMPLE.COM",
        "test.nin@EXAMPLE.com",
        "Test.Nin@example.com",
    ],
)
async def test_the_case_of_an_address_makes_no_second_person(client: Client, email: str) -> None:
    assert (await client.register()).status_code == 201
    answer = await client.register(email=email, identifierValue="AB123457D")
    assert answer.status_code == 400
    assert answer.json()["detail"] == "A user with this email already exists"


@pytest.mark.parametrize(
    "email",
    [
        '"quoted local"@example.com',
        '"a\\"b"@example.com',
        f"{'a' * 243}@example.com",
        "a@example.com\r\nBcc: b@example.com",
        "a@example.com\n",
        "a@example.com\u2028",
        "a\u202e@example.com",
        "a@[127.0.0.1]",
        "a@localhost",
        "a@@example.com",
        "a@example..com",
        "a b@example.com",
        "a@example.com,b@example.com",
        "<a@example.com>",
    ],
)
async def test_an_address_that_is_none_is_a_422(visitor: Client, email: str) -> None:
    answer = await visitor.register(email=email)
    assert answer.status_code == 422
    assert [fault["loc"] for fault in answer.json()["errors"]] == [["body", "email"]]
    assert email.strip() not in answer.text


async def test_a_homograph_is_another_address_and_is_seen_to_be_one(client: Client) -> None:
    assert (await client.register()).status_code == 201
    answer = await client.register(
        email="test.nin@exаmple.com",  # with a Cyrillic a
        identifierValue="AB123457D",
    )
    assert answer.status_code == 201
    assert answer.json()["email"] == "test.nin@xn--exmple-4nf.com"

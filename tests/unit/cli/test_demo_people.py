"""Synthetic people cannot be confused with real people or with the examples of the contract."""

import re

import pytest

from govid.bus.events import IdentifierType
from govid.bus.shared.identifiers import normalise_identifier
from govid.gateway.dev.people import STANDARD_PEOPLE, SyntheticPerson, generate_people

EVERYBODY = [*STANDARD_PEOPLE, *generate_people(20, 1)]
WITH_IDENTIFIER = [person for person in EVERYBODY if person.identifier_type]
EXAMPLES = {"test.nin@example.com", "test.nhs@example.com", "AB123456C", "NHS123456789"}
TEST_NINOS = {"AA000003D", "NA000799C", "ST281614D", "ZX000056A"}


def test_there_is_a_person_in_every_state() -> None:
    assert {person.status for person in STANDARD_PEOPLE} == {
        "registered",
        "pending_verification",
        "verified",
        "verification_failed",
        "blocked",
    }


@pytest.mark.parametrize("person", EVERYBODY, ids=lambda person: person.email)
def test_addresses_and_telephones_are_kept_for_examples(person: SyntheticPerson) -> None:
    assert person.email.endswith("@example.com")
    assert re.fullmatch(r"\+447700900\d{3}", person.phone_number)
    assert not {person.email, person.identifier_value} & EXAMPLES


@pytest.mark.parametrize("person", WITH_IDENTIFIER, ids=lambda person: person.email)
def test_identifiers_are_well_formed_and_canonical(person: SyntheticPerson) -> None:
    kind = IdentifierType(str(person.identifier_type))
    assert normalise_identifier(kind, str(person.identifier_value), accept_prototype_nhs=False) == (
        person.identifier_value
    )


def test_ninos_are_those_that_hmrc_publishes_for_tests() -> None:
    ninos = {one.identifier_value for one in EVERYBODY if one.identifier_type == "NIN"}
    assert ninos == TEST_NINOS


def test_nhs_numbers_are_never_issued_ones() -> None:
    numbers = [str(p.identifier_value) for p in EVERYBODY if p.identifier_type == "NHS"]
    assert {number[0] for number in numbers} == {"9"}
    assert len(set(numbers)) == len(numbers)


def test_the_same_seed_gives_the_same_people() -> None:
    assert list(generate_people(5, 7)) == list(generate_people(5, 7))
    assert list(generate_people(5, 7)) != list(generate_people(5, 8))

"""The person details that HMRC is asked about."""

from datetime import date

from govid.bus.shared.identifiers import ClaimedFacts
from govid.hmrc.clients.nino_verifier import describe_person


def test_the_first_given_name_is_asked_about_and_every_family_name() -> None:
    facts = ClaimedFacts(
        given_name=" Maria Isabel ",
        family_name="García  Lorca",
        date_of_birth=date(1979, 12, 31),
    )
    (person,) = describe_person(facts, "WW000002B")
    assert person.body == (
        b'{"firstName":"Maria","lastName":"Garcia Lorca",'
        b'"dateOfBirth":"1979-12-31","nino":"WW000002B"}'
    )
    assert repr(person) == f"<{type(person).__name__}>"


def test_b2_each_transcription_of_a_name_is_a_person_to_ask_about() -> None:
    facts = ClaimedFacts(given_name="Jörg", family_name="Müller", date_of_birth=date(1979, 12, 31))
    assert [(one.first_name, one.last_name) for one in describe_person(facts, "WW000002B")] == [
        ("Jorg", "Muller"),
        ("Jorg", "Mueller"),
        ("Joerg", "Muller"),
        ("Joerg", "Mueller"),
    ]

"""People whose data must not be visible from outside, and the places where it could be."""

import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

import httpx
import msgspec

from govid.bus.events import IdentifierType, Topic
from govid.bus.kafka.clients import KafkaClientFactory
from govid.bus.kafka.topic_tail import open_tail
from govid.gateway.cli.demo.people import DemoPeople, DemoPerson
from govid.gateway.cli.demo.scenarios import UTR
from tests.integration.cli.processes import Dev

PHONE = "+447700900731"
POSTCODE = "ZW9 7QK"
GIVEN = "Quillonsia"
DEPARTMENT_WORDS = ("Jane Canary", "943 476 5919", "SOMEBODY", "Newton")
"""Personal data in the error bodies of a simulated department, which govid must not repeat."""
CARRYING_MEMBERS = {
    "identity.verification.request": "identifierValue",
    "hmrc.death.notification": "identifierValue",
    "nhs.appointment.request": "patient_identifier",
}
"""In which member the contract itself sends an identifier, by topic."""


class RecordedPeople(DemoPeople):
    """Creates people with unique names, and records them."""

    def __init__(self) -> None:
        self.people: list[DemoPerson] = []

    def create_person(self, identifier_type: IdentifierType) -> DemoPerson:
        demo_person = super().create_person(identifier_type)
        demo_person.email = f"canary-{secrets.token_hex(6)}@example.com"
        demo_person.given_name = GIVEN
        demo_person.family_name = "Vexworth" + "".join(secrets.choice("abcdefgh") for _ in range(6))
        demo_person.phone_number = PHONE
        demo_person.postcode = POSTCODE
        demo_person.born = date(1951, 7, 13)
        self.people.append(demo_person)
        return demo_person

    def personal_words(self) -> set[str]:
        """Return everything that is theirs."""
        theirs = {
            word
            for one in self.people
            for word in (
                *(one.email, one.password, one.token),
                *(one.identifier_value, one.family_name, one.phone_number),
            )
        }
        same = {GIVEN, POSTCODE, POSTCODE.replace(" ", ""), "1951-07-13", UTR}
        return theirs | same | {*DEPARTMENT_WORDS}


async def collect_visible_text(dev: Dev) -> dict[str, str]:
    """Return all that can be seen of *dev* but the members in which the contract sends numbers."""
    async with httpx.AsyncClient(base_url=dev.url, timeout=10, trust_env=False) as http:
        pages = {page: (await http.get(page)).text for page in ("/metrics", "/health")}
    return {**pages, "log": dev.stderr(), **await _kafka(dev.panel["kafka"])}


async def _kafka(address: str) -> Mapping[str, str]:
    seen: dict[str, list[str]] = defaultdict(list)
    topics = [topic.value for topic in Topic]
    async with open_tail(
        KafkaClientFactory(address), topics, since=None, from_start=True, to_end=True
    ) as records:
        async for record in records:
            seen["keys"].append(str(record.key))
            seen["headers"].append(str(record.headers))
            value: dict[str, Any] = msgspec.json.decode(record.value)
            sent = str(value.pop(CARRYING_MEMBERS.get(record.topic, ""), ""))
            seen[record.topic].append(str(value))
            seen["carried"].append(sent)
    return {place: "\n".join(lines) for place, lines in seen.items()}


def find_leaks(places: Mapping[str, str], words: Iterable[str]) -> list[tuple[str, str]]:
    """Return which *words* got out, and where."""
    return [(place, word) for place, text in places.items() for word in words if word in text]

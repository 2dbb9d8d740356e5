"""Personal values that must not leak, and the places where they could."""

from collections.abc import Iterable

import httpx

from govid.bus import Database

EMAIL = "canary.7f3a@example.com"
NEW_EMAIL = "canary.8f3a@example.com"
PASSWORD = "canary password 7f3a"
NEW_PASSWORD = "canary password 8f3a"
NINO = "CN731731C"
NHS_NUMBER = "9434765919"
UTR = "1000057161"
PHONE = "+447700900731"
NAME = "Canary Sevenfathree"
ILLNESS = "canary cough"
PERSON = {
    "email": EMAIL,
    "password": PASSWORD,
    "identifierType": "NIN",
    "identifierValue": NINO,
    "phoneNumber": PHONE,
}
CANARIES = (
    EMAIL,
    NEW_EMAIL,
    PASSWORD,
    NEW_PASSWORD,
    NINO,
    NHS_NUMBER,
    UTR,
    PHONE,
    NAME,
    ILLNESS,
    "canary",
)

CARRYING_MEMBERS = {
    "identity.verification.request": {NINO},
    "hmrc.death.notification": {NINO},
    "nhs.appointment.request": {NHS_NUMBER, ILLNESS, "canary"},
}
"""What the contract itself sends, by topic: identifiers, and the citizen's reason for a visit."""


async def collect_visible_text(database: Database, url: str, log: str) -> dict[str, str]:
    """Return all that is seen from outside or by operators, but the values of topics."""
    async with httpx.AsyncClient(base_url=url, timeout=10) as http:
        metrics = (await http.get("/metrics")).text
        health = (await http.get("/health")).text
    rows = await database.reads.fetch(
        "SELECT coalesce(key, '') || coalesce(record_key, '') || headers::text AS beside,"
        " coalesce(topic, 'inside') AS topic, payload::text AS payload FROM bus.event"
    )
    topics = {row["topic"] for row in rows}
    return {
        "log": log,
        "metrics": metrics,
        "health": health,
        "keys and headers": "".join(row["beside"] for row in rows),
        "the bus's other rows": await tables(database, "bus", besides="event"),
        "audit log": await audit_log(database),
        **{
            topic: "".join(row["payload"] for row in rows if row["topic"] == topic)
            for topic in topics
        },
    }


async def audit_log(database: Database) -> str:
    """Return the text of all entries and of the personal values beside them."""
    query = """
        SELECT (SELECT string_agg(convert_from(content, 'UTF8'), '') FROM audit.entry)
            || (SELECT string_agg(content, '') FROM audit.restricted)
    """
    text: str = await database.reads.fetchval(query)
    return text


async def tables(database: Database, schema: str, besides: str = "") -> str:
    """Return the text of all rows of *schema*, but of those whose names start with *besides*."""
    names = await database.reads.fetch(
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
        " AND ($2 = '' OR c.relname NOT LIKE $2 || '%')",
        schema,
        besides,
    )
    texts = [
        await database.reads.fetchval(
            f"SELECT string_agg(t::text, '') FROM {schema}.{name} t"  # noqa: S608 - names of ours
        )
        for (name,) in names
    ]
    return "".join(text or "" for text in texts)


def find_leaks(places: dict[str, str], words: Iterable[str]) -> list[tuple[str, str]]:
    """Return which words got out, and where; what the contract sends in a topic may stand there."""
    return [
        (place, word)
        for place, text in places.items()
        for word in words
        if word in text and word not in CARRYING_MEMBERS.get(place, set())
    ]

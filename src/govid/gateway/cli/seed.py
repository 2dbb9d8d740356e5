"""`govid seed`: more made-up people for the running demonstration."""

import asyncio
from collections.abc import Sequence

import click
import msgspec
import rich_click

from govid.gateway.cli.errors import Refused, Unreachable
from govid.gateway.cli.output import Output, json_option
from govid.gateway.cli.progress import Progress
from govid.gateway.cli.prompts import confirm
from govid.gateway.cli.settings import Target, connected, target
from govid.gateway.devserver.people import RESIDENTS, Person, crowd
from govid.gateway.devserver.seed import hash_password, seed
from govid.gateway.devserver.state import StateFolder


@click.command("seed", cls=rich_click.RichCommand, epilog="Example: govid seed --citizens 1000")
@click.option("--citizens", type=click.IntRange(0, 1_000_000), default=0, help="So many more.")
@click.option("--rng-seed", type=int, default=1, show_default=True, help="Same seed, same people.")
@click.option("--dry-run", is_flag=True, help="Count who would be added, and add nobody.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def command(citizens: int, rng_seed: int, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Put demonstration people into the database of the running `govid dev`.

    Whoever is there already stays as they are. All sign in with the password of the start panel.
    """
    place = target()
    if place.running is None:
        raise Unreachable("no `govid dev` runs here.", "Start it first; it also seeds by itself.")
    if not place.is_demonstration:
        raise Refused(
            "the database of the settings is not that of `govid dev`.",
            "Made-up people belong into demonstrations only: unset GOVID_DATABASE_URL.",
        )
    people = [*RESIDENTS, *crowd(citizens, rng_seed)]
    missing = asyncio.run(_missing(place, people))
    output = Output(as_json=as_json)
    if dry_run:
        output.mapping({"would_add": len(missing), "present": len(people) - len(missing)})
        return
    if missing:
        confirm(f"Add {len(missing)} people?", yes=yes)
    added = asyncio.run(_seed(place, missing))
    output.mapping({"added": added, "present": len(people) - added})


async def _missing(place: Target, people: Sequence[Person]) -> list[Person]:
    async with connected(place) as connection:
        rows = await connection.fetch(
            "SELECT email_canonical FROM identity.account WHERE email_canonical = ANY ($1)",
            [person.email for person in people],
        )
    there = {row["email_canonical"] for row in rows}
    return [person for person in people if person.email not in there]


async def _seed(place: Target, people: Sequence[Person]) -> int:
    state = StateFolder(place.settings.data_dir).read()
    settings = msgspec.structs.replace(
        place.settings.bus,
        database_url=place.database_url,
        pseudonym_key=state.pseudonym_key.encode(),
    )
    password_hash = await asyncio.to_thread(hash_password, state.password)
    added = 0
    with Progress("Seeding", len(people)) as progress:
        async for new in seed(settings, people, password_hash):
            added += new
            progress.at(added)
    return added

"""`govid seed`: adds synthetic people to the database of the running `govid dev`."""

import asyncio
from collections.abc import Sequence

import click
import msgspec
import rich_click

from govid.gateway.cli.components import load_audit_settings
from govid.gateway.cli.errors import BackendUnreachable, CommandRefused
from govid.gateway.cli.output import Output, ProgressDisplay, json_option
from govid.gateway.cli.prompts import confirm
from govid.gateway.cli.target import Installation, connect_to_database, find_installation
from govid.gateway.dev.people import STANDARD_PEOPLE, SyntheticPerson, generate_people
from govid.gateway.dev.seed import hash_password, seed_people
from govid.gateway.dev.state import StateFolder


@click.command("seed", cls=rich_click.RichCommand, epilog="Example: govid seed --citizens 1000")
@click.option(
    "--citizens", type=click.IntRange(0, 1_000_000), default=0, help="Number of people to add."
)
@click.option(
    "--rng-seed",
    type=int,
    default=1,
    show_default=True,
    help="The same seed gives the same people.",
)
@click.option("--dry-run", is_flag=True, help="Only count the people that would be added.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@json_option
def command(citizens: int, rng_seed: int, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Add demonstration people to the database of the running `govid dev`.

    Existing people are not changed. All of them sign in with the password of the start panel.
    """
    installation = find_installation()
    if installation.running is None:
        raise BackendUnreachable(
            "no `govid dev` runs here.", "Start it first; it also adds the first people itself."
        )
    if not installation.is_demonstration:
        raise CommandRefused(
            "the database of the settings is not that of `govid dev`.",
            "Synthetic people may only be added to a demonstration: unset GOVID_DATABASE_URL.",
        )
    people = [*STANDARD_PEOPLE, *generate_people(citizens, rng_seed)]
    missing = asyncio.run(_find_missing(installation, people))
    output = Output(as_json=as_json)
    if dry_run:
        output.print_mapping({"would_add": len(missing), "present": len(people) - len(missing)})
        return
    if missing:
        confirm(f"Add {len(missing)} people?", yes=yes)
    added = asyncio.run(_seed(installation, missing))
    output.print_mapping({"added": added, "present": len(people) - added})


async def _find_missing(
    installation: Installation, people: Sequence[SyntheticPerson]
) -> list[SyntheticPerson]:
    async with connect_to_database(installation) as connection:
        rows = await connection.fetch(
            "SELECT email_canonical FROM identity.account WHERE email_canonical = ANY ($1)",
            [person.email for person in people],
        )
    present = {row["email_canonical"] for row in rows}
    return [person for person in people if person.email not in present]


async def _seed(installation: Installation, people: Sequence[SyntheticPerson]) -> int:
    state = StateFolder(installation.settings.data_dir).read()
    settings = msgspec.structs.replace(
        installation.settings.bus,
        database_url=installation.database_url,
        pseudonym_key=state.pseudonym_key.encode(),
        # With another key the server would refuse the entries of these people as forged.
        audit=load_audit_settings(installation),
    )
    password_hash = await asyncio.to_thread(hash_password, state.password)
    added = 0
    with ProgressDisplay("Seeding", len(people)) as progress:
        async for new in seed_people(settings, people, password_hash):
            added += new
            progress.update(added)
    return added

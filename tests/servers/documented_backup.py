"""Runs what docs/operations.md says about backup and restore, as it is written there."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.backends.debian_postgres import (
    ADMINISTRATOR,
    BINARIES,
    SYSTEM_USER,
    DebianServer,
)

BACKUP_LOGIN = "govid_backup"
TARGET = re.compile(r"^recovery_target_time = .*\n", re.MULTILINE)
_DOCUMENT = (Path(__file__).parents[2] / "docs/operations.md").read_text("utf-8")
_PLACE = "/srv/backup"
_MOMENT = "2026-01-31 11:59:30+00"


def read_part(heading: str) -> str:
    """Return the text below *heading*, up to the next one."""
    return re.split(r"^#+ ", _DOCUMENT.split(f"\n### {heading}\n")[1], flags=re.MULTILINE)[0]


def read_blocks(heading: str, language: str = "sh") -> list[str]:
    """Return the commands in *language* below *heading*, in order."""
    block = re.compile(rf"^( *)```{language}\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
    found = block.findall(read_part(heading))
    return [re.sub(f"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


def find_meaning(output: str) -> str:
    """Return the row of the table of failures whose quotations are all in *output*.

    Raises:
        ValueError: the document says nothing of it, or several things.
    """
    rows = re.findall(r"^\| (`.*)$", read_part("When a backup or a restore fails"), re.MULTILINE)
    (found,) = [
        row
        for row in rows
        if all(text in output for text in re.findall(r"`(.*?)`", row.split(" | ")[0]))
    ]
    return str(found)


class BackupFolder:
    """The folder of the backups, which belongs to the user of PostgreSQL."""

    def __init__(self, folder: Path) -> None:
        """Prepare *folder*, which replaces that of the document."""
        self.folder = folder
        self.base = folder / "base-2026-01-31"
        self.archive = folder / "wal"
        self.archive.mkdir()
        shutil.chown(self.archive, SYSTEM_USER)

    def localize(self, text: str, moment: str = _MOMENT) -> str:
        """Return commands of the document with the folder and the *moment* of this test."""
        return text.replace(_PLACE, str(self.folder)).replace(_MOMENT, moment)

    def run(
        self, script: str, server: DebianServer, user: str = ADMINISTRATOR, **variables: object
    ) -> str:
        """Run *script* as the document says it, with libpq's settings for *server*.

        Returns both outputs.

        Raises:
            subprocess.CalledProcessError: a command ended with another code than 0.
        """
        return _run(
            script,
            server.folder,
            {
                "PGHOST": "127.0.0.1",
                "PGPORT": str(server.port),
                "PGUSER": user,
                "PGPASSWORD": server.password,
                "PGDATA": str(server.data),
                **{name: str(value) for name, value in variables.items()},
            },
        )

    def configure(self, server: DebianServer) -> None:
        """Let *server* archive its WAL, and give it the login for backups."""
        (settings,) = read_blocks("Archive the WAL", "ini")
        server.stop("fast")
        with (server.data / "postgresql.conf").open("a") as file:
            file.write(self.localize(settings))
        server.start()
        (role,) = read_blocks("Take a base backup", "sql")
        self.run(f'psql --command "{role.replace("...", server.password)}"', server)

    def take(self, server: DebianServer) -> None:
        """Take a base backup of *server*, and verify it."""
        (commands,) = read_blocks("Take a base backup")
        self.run(self.localize(commands), server, BACKUP_LOGIN)

    def restore(
        self, server: DebianServer, *, moment: str | None = None, former: DebianServer | None = None
    ) -> None:
        """Restore into the folder of *server* and start it; it is still in recovery then.

        Without a *moment* everything is replayed that is in the archive, and in the folder of the
        *former* server if it is given.
        """
        copying, leftovers = read_blocks("Restore")[:2]
        if moment is None:
            copying = TARGET.sub("", copying)
        self.run(self.localize(copying, moment or _MOMENT), server)
        if former is not None:
            self.run(leftovers.replace("/srv/former", str(former.data)), server)
        server.start()

    def is_recovering(self, server: DebianServer) -> bool:
        """Ask *server* by the command of the document whether it is in recovery."""
        return self.run(read_blocks("Restore")[2], server).strip() != "f"

    def forget_target(self, server: DebianServer) -> None:
        """Remove the target of the recovery from the settings of *server*."""
        self.run(read_blocks("Restore")[3], server)


def _run(script: str, folder: Path, variables: Mapping[str, str]) -> str:
    done = subprocess.run(
        ["/bin/bash", "-eu", "-c", script],
        check=True,
        user=SYSTEM_USER,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={"PATH": f"{BINARIES}:/usr/bin:/bin", "LC_ALL": "C", **variables},
    )
    return done.stdout

"""Reads the settings again while a server runs, and puts those into force that allow it.

    reloader = SettingsReloader(settings, load)
    reloader.on_reload({"GOVID_LOG_LEVEL"}, change_level)
    await reloader.reload()

The environment of a process does not change. What changes is `.env`, the files of secrets
(`GOVID_X_FILE`, `GOVID_SECRETS_DIR`), and files that a setting names, such as certificates: such a
setting has changed if the content of its file has.

Log lines name settings, never their values (I9).
"""

import asyncio
import hashlib
import inspect
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from pathlib import Path

from govid.gateway.settings.loading import SettingsError
from govid.gateway.settings.model import Settings

log = logging.getLogger(__name__)

ApplySettings = Callable[[Settings], Awaitable[None] | None]


class SettingsReloader:
    """The settings in force in one process, and who uses those that may change."""

    def __init__(self, settings: Settings, load: Callable[[], Settings]) -> None:
        """Compare with *settings*; *load* reads them again, in a thread, or raises SettingsError.

        Files are read here for the first time.
        """
        self._load = load
        self._values = _read_values(settings)
        self._subscriptions: list[tuple[frozenset[str], ApplySettings]] = []

    def on_reload(self, names: Collection[str], apply: ApplySettings) -> None:
        """Call *apply* with the new settings whenever one of the settings *names* has changed.

        *apply* uses the settings of *names* only, because others may not be in force. If it cannot
        use them, it raises `SettingsError` and keeps the former ones. It gets them again with the
        next reload.
        """
        self._subscriptions.append((frozenset(names), apply))

    async def reload(self) -> None:
        """Read the settings again, put changes into force, and log each. Not to be called twice.

        If a value is invalid, all settings stay as they are, and one line names the reason.
        """
        try:
            settings = await asyncio.to_thread(self._load)
        except SettingsError as error:
            log.error("settings.reload_refused", extra={"reason": str(error)})  # noqa: TRY400
            return
        values = await asyncio.to_thread(_read_values, settings)
        changed = {name for name, value in values.items() if value != self._values[name]}
        if not changed:
            log.info("settings.unchanged")
        needs_restart = set(changed)
        for names, apply in self._subscriptions:
            needs_restart -= names
            if due := sorted(names & changed):
                await self._apply(settings, apply, {name: values[name] for name in due})
        if needs_restart:
            log.warning(
                "settings.restart_needed", extra={"setting": ", ".join(sorted(needs_restart))}
            )

    async def _apply(
        self, settings: Settings, apply: ApplySettings, values: Mapping[str, object]
    ) -> None:
        try:
            result = apply(settings)
            if inspect.isawaitable(result):
                await result
        except SettingsError as error:
            log.error(  # noqa: TRY400 - the text has no value in it, a traceback may
                "settings.reload_refused",
                extra={"setting": ", ".join(values), "reason": str(error)},
            )
            return
        for name, value in values.items():
            self._values[name] = value
            log.info("settings.reloaded", extra={"setting": name})


def _read_values(settings: Settings) -> dict[str, object]:
    """Return what to compare of each setting: its value, with the digest of a file it names."""
    values: dict[str, object] = {}
    for row, value in zip(settings.table, settings.values, strict=True):
        values[row.name] = (value, _digest_file(value)) if isinstance(value, Path) else value
    return values


def _digest_file(path: Path) -> bytes | None:
    """Return a digest of the content; None for a folder, and for a file that cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return None

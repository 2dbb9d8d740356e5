"""Loads the settings from all sources in order of precedence, with the source of each value.

Precedence: command line, environment, `.env`, secrets directory, default. The source takes
precedence over the name: an old name in the environment overrides a new one in `.env`.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from dotenv.parser import Binding, parse_stream
from pydantic import AliasChoices, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import DotEnvSettingsSource, EnvSettingsSource, SecretsSettingsSource
from pydantic_settings.sources.utils import parse_env_vars

from govid.gateway.settings.environment import Environment
from govid.gateway.settings.model import Settings, ShownSetting, build_settings

PREFIX = "GOVID_"
OTHER_NAMES = ("GOVID_TEST_", "GOVID_CI", "GOVID_BENCH_", "GOVID_SECRETS_DIR")
"""Names with the prefix that are read by other code than the settings."""
MASK = "********"


class SettingsError(ValueError):
    """The settings cannot be read. `problems` holds one line per reason, without values."""

    def __init__(self, problems: list[str]) -> None:
        """Report all *problems* at once."""
        self.problems = problems
        super().__init__("; ".join(problems))


def load_from_environment(
    overrides: Mapping[str, object] | None = None,
    *,
    demonstration: bool = False,
    env_file: Path | None = Path(".env"),
) -> Settings:
    """Read the settings.

    *overrides* come from the command line, under govid's own names (`{"GOVID_PORT": 8001}`).
    *demonstration* is true under `govid dev` only: departments are then simulated by default.

    Raises:
        SettingsError: a value cannot be read, a name with the prefix is unknown, or a file of a
            secret is missing. Values that are valid but unsafe in production raise nothing.
    """
    problems: list[str] = []
    notices: list[str] = []
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    secret_files: dict[str, Path] = {}
    for source in _iterate_sources(overrides or {}, env_file, problems, notices):
        for name, value in source.values.items():
            if name not in merged:
                merged[name], origins[name] = value, source.origin
                if name in source.files:
                    secret_files[name] = source.files[name]
    try:
        environment = Environment(**merged)
    except ValidationError as error:
        problems += [
            _describe_error(dict(one), origins) for one in error.errors(include_input=False)
        ]
    if problems:
        raise SettingsError(problems)
    try:
        return build_settings(
            environment,
            _build_table(environment, origins),
            demonstration=demonstration,
            secret_files=secret_files,
            notices=tuple(notices),
        )
    except ValueError as error:
        raise SettingsError([str(error)]) from error


def render_example() -> str:
    """Return the text of `.env.example`: every setting with its description and default."""
    lines = [
        "# Every setting of govid. Copy this file to .env and uncomment what you change.",
        "# A secret can also be given as a file: GOVID_X_FILE=/path instead of GOVID_X=value.",
        "# Written by `govid config example`.",
    ]
    for field in Environment.model_fields.values():
        first, *others = _setting_names(field)
        also = f" Also: {', '.join(others)}." if others else ""
        lines += ["", f"# {field.description}.{also}", f"# {first}={_format_default(first, field)}"]
    return "\n".join(lines) + "\n"


class _Source(NamedTuple):
    """Where settings come from, with their values and files of secrets by govid's own names."""

    origin: str
    values: Mapping[str, Any]
    files: Mapping[str, Path] = {}


def _iterate_sources(
    overrides: Mapping[str, object],
    env_file: Path | None,
    problems: list[str],
    notices: list[str],
) -> Iterator[_Source]:
    """Yield the sources in order of precedence."""
    yield _Source("command line", dict(overrides))
    environment = EnvSettingsSource(Environment)()
    yield _Source("environment", environment)
    yield _read_secret_files("environment", os.environ, environment, problems)
    problems += _find_unknown_names("the environment", os.environ)
    raw = None if env_file is None else _read_dotenv(env_file, problems, notices)
    if env_file is not None and raw is not None:
        notices += [
            f"{name} in {env_file} contains ${{: it is used as written, without substitution"
            for name, value in raw.items()
            if "${" in value
        ]
        values = _EnvFile(Environment, env_file=env_file)()
        yield _Source(str(env_file), values)
        yield _read_secret_files(str(env_file), raw, values, problems)
        problems += _find_unknown_names(str(env_file), raw)
    if folder := os.environ.get("GOVID_SECRETS_DIR"):
        secrets = SecretsSettingsSource(Environment, secrets_dir=folder)()
        yield _Source(folder, secrets, {name: Path(folder, name) for name in secrets})


class _EnvFile(DotEnvSettingsSource):
    """Reads values of the file as they are written; the library would substitute `${NAME}`."""

    def _read_env_file(self, file_path: Path) -> Mapping[str, str | None]:
        return parse_env_vars(
            _read_literal_values(file_path),
            self.case_sensitive,
            self.env_ignore_empty,
            self.env_parse_none_str,
        )


def _read_dotenv(env_file: Path, problems: list[str], notices: list[str]) -> dict[str, str] | None:
    """Return the variables of *env_file*; None if it is missing or cannot be read."""
    if not env_file.is_file():
        if env_file.is_symlink() or env_file.exists():
            problems.append(f"{env_file} is not a file")
        return None
    try:
        bindings = _parse_bindings(env_file)
    except UnicodeDecodeError as error:
        problems.append(f"{env_file} is not UTF-8 (byte {error.start})")
        return None
    except OSError as error:
        problems.append(f"{env_file} cannot be read ({error.strerror})")
        return None
    # A notice and no error, because the prototype accepted such a line. Its text may be a secret.
    notices += [
        f"line {_binding_line(one)} of {env_file} is not NAME=value and is ignored"
        for one in bindings
        if one.error
    ]
    return _binding_values(bindings)


def _binding_line(binding: Binding) -> int:
    """Return the line number of *binding*; the parser counts preceding empty lines to it."""
    text = binding.original.string
    return binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")


def _read_literal_values(env_file: Path) -> dict[str, str]:
    return _binding_values(_parse_bindings(env_file))


def _parse_bindings(env_file: Path) -> list[Binding]:
    with env_file.open(encoding="utf-8") as stream:
        return list(parse_stream(stream))


def _binding_values(bindings: Iterable[Binding]) -> dict[str, str]:
    return {one.key: one.value or "" for one in bindings if one.key is not None and not one.error}


def _read_secret_files(
    origin: str, source: Mapping[str, str], values: Mapping[str, Any], problems: list[str]
) -> _Source:
    """Read the secrets for which *source* names a file (`NAME_FILE`)."""
    found: dict[str, str] = {}
    files: dict[str, Path] = {}
    for field in Environment.model_fields.values():
        first, *_ = names = _setting_names(field)
        for name in names if _is_secret(field) else ():
            path = source.get(f"{name}_FILE")
            if not path or first in found:
                continue
            if first in values:
                problems.append(f"{name} and {name}_FILE are both set: keep one")
                continue
            try:
                found[first] = Path(path).read_text("utf-8").rstrip("\r\n")
                files[first] = Path(path)
            except (OSError, UnicodeDecodeError):
                problems.append(f"{name}_FILE names a file that cannot be read")
    return _Source(origin, found, files)


def _find_unknown_names(place: str, source: Mapping[str, str]) -> list[str]:
    """Return an error for each unknown name with the prefix, with the most similar setting."""
    secret = [
        n for f in Environment.model_fields.values() if _is_secret(f) for n in _setting_names(f)
    ]
    known = {name for field in Environment.model_fields.values() for name in _setting_names(field)}
    known.update(f"{name}_FILE" for name in secret)
    problems = []
    for name in sorted(source):
        if name.startswith(PREFIX) and not name.startswith(OTHER_NAMES) and name not in known:
            # Compared without the common prefix, which would make any two names similar.
            near = get_close_matches(
                name.removeprefix(PREFIX),
                [one.removeprefix(PREFIX) for one in known if one.startswith(PREFIX)],
                n=1,
            )
            hint = f": did you mean {PREFIX}{near[0]}?" if near else ""
            problems.append(f"{name} in {place} is no setting of govid{hint}")
    return problems


def _describe_error(error: Mapping[str, Any], origins: Mapping[str, str]) -> str:
    """Return which setting is invalid, its source and the reason, without its value."""
    name = str(error["loc"][0])
    reason = str(error["msg"]).removeprefix("Value error, ")
    return f"{name} ({origins.get(name, 'default')}): {reason[:1].lower()}{reason[1:]}"


def _build_table(environment: Environment, origins: Mapping[str, str]) -> tuple[ShownSetting, ...]:
    """Return every setting with its value and source, secrets masked."""
    rows = []
    for key, field in Environment.model_fields.items():
        value = getattr(environment, key)
        first, *others = _setting_names(field)
        rows.append(
            ShownSetting(
                name=first,
                aliases=tuple(others),
                value=_format_value(value),
                source=origins.get(first, "default"),
                doc=field.description or "",
            )
        )
    return tuple(rows)


def _format_value(value: object) -> str:
    match value:
        case None:
            return ""
        case SecretStr():
            return MASK
        case bool():
            return str(value).lower()
        case tuple():
            return ",".join(map(str, value))
        case _:
            return str(value)


def _format_default(name: str, field: FieldInfo) -> str:
    """Return the default as text; empty if it depends on the machine."""
    return "" if name == "GOVID_HASH_CONCURRENCY" else _format_value(field.default)


def _setting_names(field: FieldInfo) -> list[str]:
    alias = field.validation_alias
    return [str(name) for name in alias.choices] if isinstance(alias, AliasChoices) else []


def _is_secret(field: FieldInfo) -> bool:
    return SecretStr in getattr(field.annotation, "__args__", ())

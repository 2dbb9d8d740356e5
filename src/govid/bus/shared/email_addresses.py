"""Compares e-mail addresses: which spellings belong to one mailbox."""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

Row = TypeVar("Row", bound=Mapping[Any, Any])


def mailbox_key(address: str) -> str:
    """Return the canonical form of *address*, in which two spellings of one mailbox are equal.

    Letters are in lower case and composed (NFC), and a plus tag is kept. Letters are not case
    folded: at most servers `straße` and `strasse` are two mailboxes, as are a ligature and its
    letters.
    """
    local, _, domain = address.rpartition("@")
    return f"{unicodedata.normalize('NFC', local.lower())}@{domain.lower()}"


def mailbox_key_variants(key: str) -> tuple[str, ...]:
    """Return the keys under which the mailbox of *key* may be stored, the current one first.

    Earlier releases case folded letters. `govid migrate` rewrites their keys; until then a look-up
    uses both keys, and must compare the address of each row that it finds.
    """
    local, _, domain = key.rpartition("@")
    folded = f"{local.casefold()}@{domain}"
    return (key,) if folded == key else (key, folded)


def filter_mailbox_rows(rows: Sequence[Row], key: str) -> Sequence[Row]:
    """Return the *rows* that belong to the mailbox of *key*, rows stored under that key first.

    Each row has `email` and `email_canonical`.
    """
    own = [row for row in rows if mailbox_key(row["email"]) == key]
    return sorted(own, key=lambda row: row["email_canonical"] != key)

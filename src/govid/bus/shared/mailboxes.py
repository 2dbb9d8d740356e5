"""Tells which spellings of an e-mail address are one mailbox."""

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

Row = TypeVar("Row", bound=Mapping[Any, Any])


def mailbox_key(address: str) -> str:
    """Return the form in which two spellings of one *address* are equal. Plus stays plus.

    Letters in lower case, composed (NFC). They are not folded: `straße` and `strasse` are two
    mailboxes at most servers, as are a ligature and its letters.
    """
    local, _, domain = address.rpartition("@")
    return f"{unicodedata.normalize('NFC', local.lower())}@{domain.lower()}"


def stored_keys(key: str) -> tuple[str, ...]:
    """Return the keys under which the mailbox of *key* may be stored, the present one first.

    Earlier releases folded letters. `govid migrate` rewrites their keys; until then a lookup asks
    for both, and has to compare the address of what it finds.
    """
    local, _, domain = key.rpartition("@")
    folded = f"{local.casefold()}@{domain}"
    return (key,) if folded == key else (key, folded)


def of_mailbox(rows: Sequence[Row], key: str) -> Sequence[Row]:
    """Return those of *rows* that belong to the mailbox of *key*, those stored under it first.

    Each row has `email` and `email_canonical`.
    """
    own = [row for row in rows if mailbox_key(row["email"]) == key]
    return sorted(own, key=lambda row: row["email_canonical"] != key)

"""D4: a body costs little before it is refused, whatever it holds."""

import time
from typing import Any

import msgspec
import pytest

from govid.bus import InvalidRequest
from govid.gateway.http.json_body import read_json
from govid.identity.schemas import Login, Register
from govid.nhs.schemas import BookSlots, FilePatient

SIZE = 60_000
CPU_SECONDS = 0.008
"""Of the event loop, on a slow machine; the first version took 0.097 for a list of objects."""


def filled(piece: bytes, beginning: bytes = b"", end: bytes = b"") -> bytes:
    """Return a body of about 60 KB that consists of *piece*."""
    return beginning + piece * ((SIZE - len(beginning) - len(end)) // len(piece)) + end


def cost(body: bytes, wanted: Any) -> float:
    """Return the seconds of CPU that a refusal costs, the best of five."""
    spent = []
    for _ in range(5):
        began = time.thread_time()
        with pytest.raises(InvalidRequest):
            read_json(body, wanted)
        spent.append(time.thread_time() - began)
    return min(spent)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(filled(b"{},", b"[", b"{}]"), id="objects in a list"),
        pytest.param(filled(b"{},", b'{"slots":[', b"{}]}"), id="objects in a field"),
        pytest.param(filled(b"[],", b"[", b"[]]"), id="lists in a list"),
        pytest.param(filled(b"0,", b"[", b"0]"), id="numbers"),
        pytest.param(filled(b'"",', b"[", b'""]'), id="empty strings"),
        pytest.param(filled(b'"",', b'{"slots":[', b'""]}'), id="empty strings in a field"),
        pytest.param(filled(b'"a":0,', b"{", b'"a":0}'), id="one field again and again"),
        pytest.param(filled(b"[{", b""), id="nested"),
        pytest.param(filled(b"[[[]]],", b"[", b"[]]"), id="nested a little"),
        pytest.param(filled(b'\\"', b'{"a":"', b""), id="escaped quotes without end"),
        pytest.param(filled(b"\\u0000", b'{"name":"', b'"}'), id="escapes"),
        pytest.param(filled(b"9", b'{"name":', b"}"), id="one number"),
        pytest.param(filled(b" ", b"[", b""), id="blanks"),
    ],
)
@pytest.mark.parametrize("wanted", [Register, Login, FilePatient, BookSlots])
def test_d4_a_refusal_costs_little(body: bytes, wanted: Any) -> None:
    assert cost(body, wanted) < CPU_SECONDS


@pytest.mark.parametrize(
    ("body", "loc", "kind"),
    [
        (filled(b"{},", b"[", b"{}]"), ("body",), "wrong_type"),
        (b"[" * 60_000, ("body",), "too_deep"),
        (filled(b'"a":0,', b"{", b'"a":0}'), ("body", "a"), "unknown_field"),
        (b'{"email": "a", "email": "b", "password": "c"}', ("body",), "duplicate_field"),
        (b'{"email": "a\\u0000", "password": "c"}', ("body", "email"), "nul_character"),
        (b'{"email": "a", "password": 1e400}', ("body", "password"), "out_of_range"),
        (b'{"email": "a", "password": "b", "x": NaN}', ("body",), "json_malformed"),
    ],
)
def test_d4_what_is_wrong_is_still_named(body: bytes, loc: tuple[str, ...], kind: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_json(body, Login)
    assert [(fault.loc, fault.type) for fault in refused.value.field_problems] == [(loc, kind)]


@pytest.mark.parametrize("depth", [33, 500, 5_000, 30_000])
def test_d4_depth_is_refused_where_anything_is_taken(depth: int) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_json(b"[" * depth + b"]" * depth, Any)
    assert [fault.type for fault in refused.value.field_problems] == ["too_deep"]


def test_d4_a_good_body_is_read() -> None:
    body = msgspec.json.encode({"email": "a@example.com", "password": "password123"})
    assert read_json(body, Login) == Login(email="a@example.com", password="password123")

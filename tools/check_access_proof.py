"""Checks offline that an entry is in the signed audit log of govid, and that it stayed there.

Exit codes: 0 the proof holds, 1 it does not, 2 a file or the key cannot be used.
"""

import argparse
import base64
import hashlib
import json
import os
import re
import stat
import sys

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FAILED, UNUSABLE, MAX_BYTES = 1, 2, 65_536
HEAD = r"(([^\s+]{1,200})\n([1-9][0-9]{0,18})\n(\S{44})\n(?:at [0-9TZ:-]{20}\n)?)\n"
NOTE = re.compile(HEAD + r"((?:— [^\s+]{1,200} \S{1,200}\n){1,16})")
VKEY = re.compile(r"([^\s+]{1,200})\+([0-9a-f]{8})\+(\S{44})")


def stop(code, message):
    sys.exit(print(message, file=sys.stderr) or code)


def read_text(path):
    try:  # Without O_NONBLOCK a pipe would wait for ever.
        with open(os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0)), "rb") as file:
            is_regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            text = (content := file.read(MAX_BYTES + 1) if is_regular else b"").decode()
    except (OSError, ValueError) as error:
        stop(UNUSABLE, f"{path!a} cannot be read: {type(error).__name__}")
    if not is_regular or len(content) > MAX_BYTES:
        stop(UNUSABLE, f"{path!a} is no regular file of up to 64 KiB")
    return text


def parse_json(text, what, **members):
    try:
        found = json.loads(text, object_pairs_hook=lambda p: len(p) == len(dict(p)) and dict(p))
    except (ValueError, RecursionError):
        stop(UNUSABLE, f"{what} is no valid JSON")
    for name, kind in members.items():  # In JSON a boolean is no number.
        value = found.get(name) if type(found) is dict else None
        if type(value) is not kind or (kind is int and not 0 <= value < 2**63):
            stop(UNUSABLE, f"{what} has no valid member {name}, or a member twice")
    return found


def decode(text):
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        data = b""
    if base64.b64encode(data).decode() != text:
        stop(FAILED, "a value is no canonical base64")
    return data


def parse_keys(argument):
    text = argument if VKEY.fullmatch(argument) else read_text(argument)
    found, keys = text.split(), {}
    if text.lstrip().startswith("{"):
        listed = parse_json(text, "the file of keys", keys=list)["keys"]
        found = [one.get("vkey") if type(one) is dict else None for one in listed]
    for one in [VKEY.fullmatch(key) if type(key) is str else None for key in found] or [None]:
        name, key_id, raw = (one[1], one[2], decode(one[3])) if one else ("", "", b"")
        full_id = hashlib.sha256(name.encode(errors="replace") + b"\n" + raw).hexdigest()
        if raw[:1] != b"\1" or full_id[:8] != key_id:
            stop(UNUSABLE, "the key is no vkey (NAME+ID+KEY) and no file with one")
        keys[name, bytes.fromhex(key_id)] = raw[1:]
    return keys


def open_note(note, keys):
    found = NOTE.fullmatch(note) or stop(FAILED, "the checkpoint is no signed note of a log")
    text, origin, size, root, signed = found.groups()
    codes = [decode(line.split(" ")[2]) for line in signed.split("\n")[:-1]]
    known = [code for code in codes if (origin, code[:4]) in keys]
    try:
        for code in known:
            key = Ed25519PublicKey.from_public_bytes(keys[origin, code[:4]])
            key.verify(code[4:], text.encode())
    except (InvalidSignature, ValueError):
        stop(FAILED, "the signature of the checkpoint is wrong")
    if not known:
        stop(FAILED, "the checkpoint is signed by another key, or is of another log")
    return origin, int(size), decode(root)


def follow_path(old, new, root, path):  # RFC 9162, sections 2.1.3.2 and 2.1.4.2.
    left = right = root
    for one in (path[at : at + 32] for at in range(0, len(path), 32)):
        if old & 1 or old == new:
            left, right = (hashlib.sha256(b"\1" + one + was).digest() for was in (left, right))
            while old and not old & 1:
                old, new = old >> 1, new >> 1
        else:
            right = hashlib.sha256(b"\1" + right + one).digest()
        old, new = (old >> 1, new >> 1) if new else (0, -1)
    return (left, right) if new == 0 else None


def check_newer(text, keys, origin, size, root):
    newer = {"from": size, "path": "", "checkpoint": text}
    if text.lstrip().startswith("{"):
        newer = parse_json(text, "the newer proof", **{"from": int}, path=str, checkpoint=str)
    new_origin, new_size, new_root = open_note(newer["checkpoint"], keys)
    if new_origin != origin or new_size < size:
        stop(FAILED, "the other checkpoint is older, or of another log")
    path, old, new = decode(newer["path"]), size - 1, new_size - 1
    if newer["from"] != size or (old < new) != bool(path):
        stop(UNUSABLE, f"the newer proof is none from {size} entries: get consistency?from={size}")
    path = path if size & old else root + path  # The log is its own first node if it is complete.
    while old & 1:
        old, new = old >> 1, new >> 1
    roots = (root, root) if size == new_size else follow_path(old, new, path[:32], path[32:])
    if roots != (root, new_root):
        stop(FAILED, "the newer log does not begin with the log of the proof")
    print(f"Nothing was taken back: the log of {new_size} entries begins with the log of {size}.")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("proof")
    parser.add_argument("--key", required=True)
    parser.add_argument("--against")
    given, proof = parser.parse_args(), {"entry": str, "index": int, "path": str, "checkpoint": str}
    sys.stdout.reconfigure(errors="backslashreplace")
    keys, proof = parse_keys(given.key), parse_json(read_text(given.proof), "the proof", **proof)
    entry = parse_json(proof["entry"], "the entry", id=str, at=str, extensions=dict)
    origin, size, root = open_note(proof["checkpoint"], keys)
    leaf = hashlib.sha256(b"\0" + proof["entry"].encode(errors="surrogatepass")).digest()
    number, path = proof["index"] + 1, decode(proof["path"])
    roots = follow_path(number - 1, size - 1, leaf, path)
    if number > size or roots is None or roots[1] != root:
        stop(FAILED, "the entry is not in the log of the checkpoint")
    shown = {"entry": entry["id"], "subject": entry.get("subject", "all"), "at": entry["at"]}
    for name, value in {**shown, **entry["extensions"], **shown}.items():  # All is escaped:
        line = f"{name}: {', '.join(map(str, value)) if type(value) is list else value}"
        print("".join(c if c.isprintable() else ascii(c)[1:-1] for c in line))
    print(f"Contained: entry {number} of the log of {size} entries, signed by {origin}.")
    if given.against:
        check_newer(read_text(given.against), keys, origin, size, root)


if __name__ == "__main__":
    main()

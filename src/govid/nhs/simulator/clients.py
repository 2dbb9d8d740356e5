"""Who may ask the simulated NHS for tokens: one client, known by the public half of its key."""

from functools import cached_property
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

CLIENT_ID = "govid-simulated-client"
KID = "govid-simulator-1"
_BITS = 2048
_EXPONENT = 65537


class ClientKey:
    """The simulated client's key pair, made when it is first needed: it takes a while."""

    def __init__(self, pem: bytes | None = None) -> None:
        """Use the private key *pem*, or make one."""
        self._pem = pem

    @cached_property
    def _private(self) -> rsa.RSAPrivateKey:
        if self._pem is None:
            return rsa.generate_private_key(_EXPONENT, _BITS)
        key = load_pem_private_key(self._pem, None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise TypeError("the key of a client is an RSA key")
        return key

    @cached_property
    def pem(self) -> bytes:
        """The private half, as the client keeps it."""
        return self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def public(self) -> rsa.RSAPublicKey:
        """The public half, as the client publishes it."""
        return self._private.public_key()

    def __repr__(self) -> str:
        """Show nothing (I11)."""
        return "<ClientKey>"


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """A registered client. One with no `keys` has registered none."""

    id: str
    keys: dict[str, ClientKey]
    jwks_is_reachable: bool = True


def kept_key(path: Path) -> ClientKey:
    """Return the key that is kept in the file *path*; made and written if there is none."""
    if path.exists():
        return ClientKey(path.read_bytes())
    key = ClientKey()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(key.pem)
    return key

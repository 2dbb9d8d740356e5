"""OAuth client of the simulated NHS and its key pair."""

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
    """Key pair of the simulated client, generated on first use because generation is slow."""

    def __init__(self, pem: bytes | None = None) -> None:
        """Use the private key *pem*, or generate one."""
        self._pem = pem

    @cached_property
    def _private(self) -> rsa.RSAPrivateKey:
        if self._pem is None:
            return rsa.generate_private_key(_EXPONENT, _BITS)
        key = load_pem_private_key(self._pem, None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise TypeError("the key of a client must be an RSA key")
        return key

    @cached_property
    def pem(self) -> bytes:
        """Private key in PEM, as the client stores it."""
        return self._private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    @property
    def public(self) -> rsa.RSAPublicKey:
        """Public key, as the client registers it."""
        return self._private.public_key()

    def __repr__(self) -> str:
        """Show no values (I11)."""
        return "<ClientKey>"


class OAuthClient(msgspec.Struct, frozen=True, kw_only=True):
    """Registered OAuth client with its public keys by key id."""

    id: str
    keys: dict[str, ClientKey]
    jwks_is_reachable: bool = True


def load_or_create_key(path: Path) -> ClientKey:
    """Return the key stored in the file *path*; generate and store one if it does not exist."""
    if path.exists():
        return ClientKey(path.read_bytes())
    key = ClientKey()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(key.pem)
    return key

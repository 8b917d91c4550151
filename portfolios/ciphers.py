"""What `vault` seals with; loaded with the first key, as its library takes longer than a page's own modules."""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class Cipher:
    """AES-GCM with one key."""

    __slots__ = ("_aes",)

    def __init__(self, key: bytes) -> None:
        self._aes = AESGCM(key)

    def sealed(self, nonce: bytes, value: bytes, authenticated: bytes) -> bytes:
        return self._aes.encrypt(nonce, value, authenticated)

    def opened(self, nonce: bytes, ciphertext: bytes, authenticated: bytes) -> bytes | None:
        """Give the value; None if anything was changed."""
        try:
            return self._aes.decrypt(nonce, ciphertext, authenticated)
        except InvalidTag:
            return None


def derived(key: bytes, purpose: str) -> bytes:
    """Derive a key of the same length that is used for nothing else."""
    return HKDF(SHA256(), len(key), salt=None, info=f"possync.{purpose}.1".encode()).derive(key)

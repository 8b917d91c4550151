"""Sealing and opening of credentials, and the key files that this takes.

A sealed value is text: ``ps1.<key id>.<base64url of nonce, ciphertext and tag>``, AES-256-GCM. Format, key
id and `Binding` are authenticated with it, so a value that was edited, or moved to another row, name,
market or endpoint, does not open. A key is 32 random bytes of its own, never derived from SECRET_KEY.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NoReturn

from providers.credentials import Secret
from providers.errors import CredentialUnreadable

KEY_BYTES: Final = 32

_CIPHERS: Final = "portfolios.ciphers"
_FORMAT: Final = "ps1"
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_SECRET_KEY_MIN_LENGTH: Final = 50
_KEY_ID = re.compile(r"[A-Za-z0-9_-]{1,32}", re.A)
# Whoever changed it learns nothing about how: one message for every kind of damage.
_CHANGED: Final = (
    "The stored credential cannot be opened: it, its row or its key was changed. "
    "Enter the credential again."
)


class KeyFileError(CredentialUnreadable):
    """A key file or key list that cannot be used; the message names it and never quotes it."""


@dataclass(frozen=True, slots=True)
class Binding:
    """The one place where a sealed value may be opened.

    Parameters
    ----------
    row : str
        The row's uuid; a primary key would be used again after a deletion.
    name : str
        The credential's name, such as ``secret``.
    market, endpoint : str
        Where the secret may be sent: an edited endpoint must not receive it.
    """

    row: str
    name: str
    market: str
    endpoint: str = ""
    table: str = "market_credential"

    def authenticated(self, header: str) -> bytes:
        return json.dumps(
            [header, self.table, self.row, self.name, self.market, self.endpoint]
        ).encode()


class _Key:
    """One entry of the ring; each use of it has a key of its own."""

    __slots__ = ("fingerprinting", "id", "sealing")

    def __init__(self, key_id: str, key: bytes) -> None:
        ciphers = import_module(_CIPHERS)
        self.id = key_id
        self.sealing = ciphers.Cipher(ciphers.derived(key, "seal"))
        self.fingerprinting: bytes = ciphers.derived(key, "fingerprint")


class KeyRing:
    """The first key seals, every key opens."""

    __slots__ = ("_keys",)

    def __init__(self, keys: Iterator[_Key]) -> None:
        self._keys = {key.id: key for key in keys}

    @classmethod
    def from_text(cls, text: str, source: str = "The key list") -> KeyRing:
        """Read ``id:base64`` entries, apart by white space; a line that begins with # is a comment.

        Raises
        ------
        KeyFileError
            If there is no entry, a malformed one, or a key id twice.
        """
        lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
        pairs = [
            _parsed(entry, f"{source}, key {number}")
            for number, entry in enumerate(" ".join(lines).split(), start=1)
        ]
        if not pairs:
            raise KeyFileError(f"{source} holds no key. Restore it from a backup.")
        if len({key_id for key_id, _ in pairs}) < len(pairs):
            raise KeyFileError(f"{source} holds two keys of one id. Give each its own.")
        return cls(_Key(key_id, key) for key_id, key in pairs)

    @classmethod
    def from_file(cls, path: Path) -> KeyRing:
        return cls.from_text(_read_private(path), str(path))

    def sealing_key(self) -> _Key:
        return next(iter(self._keys.values()))

    def opening_key(self, key_id: str) -> _Key:
        try:
            return self._keys[key_id]
        except KeyError:
            raise CredentialUnreadable(
                f"The stored credential was sealed with the key {key_id}, which is not on the key "
                "ring. Restore that key, or enter the credential again."
            ) from None

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self._keys)})"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("A key ring cannot be pickled or copied.")


def _parsed(entry: str, source: str) -> tuple[str, bytes]:
    key_id, _, encoded = entry.partition(":")
    try:
        key = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES or not _KEY_ID.fullmatch(key_id):
        raise KeyFileError(
            f"{source} is malformed: expected id:base64 of {KEY_BYTES} bytes, the id of letters, "
            "digits, - and _."
        )
    return key_id, key


def seal(key_ring: KeyRing, secret: Secret, binding: Binding) -> str:
    if not secret:
        raise ValueError("Expected a secret, was empty.")
    key = key_ring.sealing_key()
    header = f"{_FORMAT}.{key.id}"
    nonce = os.urandom(_NONCE_BYTES)
    ciphertext = key.sealing.sealed(nonce, secret.reveal().encode(), binding.authenticated(header))
    return f"{header}.{_encoded(nonce + ciphertext)}"


def open_sealed(key_ring: KeyRing, sealed: str, binding: Binding) -> Secret:
    """Open what `seal` made for the same `binding`.

    Raises
    ------
    CredentialUnreadable
        If the key is not on the ring (the message names it), or if anything was changed.
    """
    key_id, body = _taken_apart(sealed)
    key = key_ring.opening_key(key_id)
    authenticated = binding.authenticated(f"{_FORMAT}.{key_id}")
    value = key.sealing.opened(body[:_NONCE_BYTES], body[_NONCE_BYTES:], authenticated)
    if value is None:
        raise CredentialUnreadable(_CHANGED)
    return Secret(value.decode())


def _taken_apart(sealed: str) -> tuple[str, bytes]:
    version, _, rest = sealed.partition(".")
    key_id, _, encoded = rest.partition(".")
    body = _decoded(encoded)
    if (
        version != _FORMAT
        or not _KEY_ID.fullmatch(key_id)
        or len(body) <= _NONCE_BYTES + _TAG_BYTES
    ):
        raise CredentialUnreadable(_CHANGED)
    return key_id, body


def _encoded(body: bytes) -> str:
    return base64.urlsafe_b64encode(body).decode().rstrip("=")


def _decoded(encoded: str) -> bytes:
    try:
        body = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return b""
    # The last character has bits to spare; only one spelling of a body is accepted.
    return body if _encoded(body) == encoded else b""


def secret_fingerprint(key_ring: KeyRing, secret: Secret) -> str:
    """Tell secrets apart without showing them: 12 hexadecimal digits, keyed with the sealing key."""
    key = key_ring.sealing_key().fingerprinting
    return hmac.new(key, secret.reveal().encode(), hashlib.sha256).hexdigest()[:12]


def create_key_file(path: Path) -> KeyRing:
    """Make a key file with one new key, readable by its owner only; never overwrites one.

    Raises
    ------
    KeyFileError
        If there is a file at `path`.
    """
    entry = f"k{secrets.token_hex(4)}:{base64.b64encode(os.urandom(KEY_BYTES)).decode()}"
    text = (
        "# PosSync seals exchange credentials with this key. Keep a copy apart from the database:\n"
        "# without it no stored credential can be opened again.\n"
        f"{entry}\n"
    )
    try:
        _create_private(path, text)
    except FileExistsError:
        raise KeyFileError(f"{path} exists already and is not overwritten.") from None
    return KeyRing.from_text(entry)


def read_or_create_secret_key(path: Path) -> str:
    """Read Django's SECRET_KEY; processes that start at once on an empty folder agree on one.

    Raises
    ------
    KeyFileError
        If others may read the file, or if what it holds is too short.
    """
    if not path.exists():
        # Another process may be faster; then its key counts.
        with suppress(FileExistsError):
            _create_private(path, f"{secrets.token_urlsafe(50)}\n")
    key = _read_private(path).strip()
    if len(key) < _SECRET_KEY_MIN_LENGTH:
        raise KeyFileError(
            f"{path} is damaged: expected at least {_SECRET_KEY_MIN_LENGTH} characters, "
            f"were {len(key)}. Delete it to get a new one; everybody then logs in again."
        )
    return key


def _read_private(path: Path) -> str:
    try:
        with path.open(encoding="ascii") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read()
    except FileNotFoundError:
        raise KeyFileError(f"There is no key file at {path}. Restore it from a backup.") from None
    except (OSError, UnicodeDecodeError) as e:
        raise KeyFileError(f"The key file {path} cannot be read: {type(e).__name__}.") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyFileError(
            f"Others than its owner may use the key file {path}. Run: chmod 600 {path}"
        )
    return text


def _create_private(path: Path, text: str) -> None:
    # Written aside and then linked: nobody sees half a file, and an existing one stays.
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
        _sync_folder(path.parent)
    finally:
        Path(draft).unlink()


def _sync_folder(folder: Path) -> None:
    # A key that a power cut takes back would take every credential sealed with it.
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

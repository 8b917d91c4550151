from __future__ import annotations

import base64
import copy
import os
import pickle
import re
import stat
import string
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portfolios.vault import (
    Binding,
    KeyFileError,
    KeyRing,
    create_key_file,
    open_sealed,
    read_or_create_secret_key,
    seal,
    secret_fingerprint,
)
from providers.credentials import Secret
from providers.errors import CredentialUnreadable

BINDING = Binding(
    row="6f1c2f7e-0000-4000-8000-000000000001",
    name="secret",
    market="okx",
    endpoint="https://www.okx.test",
)
CANARY = "CAN+ARY/=&<\"'é"
CHANGED = (
    "The stored credential cannot be opened: it, its row or its key was changed. "
    "Enter the credential again."
)


def entry(key_id: str, byte: int = 1) -> str:
    return f"{key_id}:{base64.b64encode(bytes([byte]) * 32).decode()}"


RING = KeyRing.from_text(entry("k1"))
OTHER_RING = KeyRing.from_text(entry("k2", 2))


def assert_unreadable(sealed: str, binding: Binding = BINDING, ring: KeyRing = RING) -> None:
    with pytest.raises(CredentialUnreadable) as caught:
        open_sealed(ring, sealed, binding)
    assert str(caught.value) == CHANGED
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@given(st.text(min_size=1).map(str.strip).filter(bool))
def test_what_is_sealed_is_opened(value: str) -> None:
    sealed = seal(RING, Secret(value), BINDING)

    assert open_sealed(RING, sealed, BINDING) == Secret(value)


def test_sealed_text_does_not_show_the_secret() -> None:
    sealed = seal(RING, Secret(CANARY), BINDING)
    body = base64.urlsafe_b64decode(sealed.split(".")[2] + "==")

    assert sealed.startswith("ps1.k1.")
    assert sealed.isascii()
    assert b"CAN" not in body


def test_sealing_twice_gives_two_texts() -> None:
    assert seal(RING, Secret(CANARY), BINDING) != seal(RING, Secret(CANARY), BINDING)


def test_nothing_cannot_be_sealed() -> None:
    with pytest.raises(ValueError, match="was empty"):
        seal(RING, Secret(" "), BINDING)


def test_every_changed_bit_is_noticed() -> None:
    head, _, encoded = seal(RING, Secret(CANARY), BINDING).rpartition(".")
    body = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))

    for position in range(len(body) * 8):
        changed = bytearray(body)
        changed[position // 8] ^= 1 << position % 8
        text = base64.urlsafe_b64encode(changed).decode().rstrip("=")
        assert_unreadable(f"{head}.{text}")


@pytest.mark.parametrize("length", range(1, 4))
def test_every_changed_character_is_noticed(length: int) -> None:
    # The number of spare bits in the last character depends on the length.
    sealed = seal(RING, Secret(CANARY + "x" * length), BINDING)

    for position, char in enumerate(sealed):
        for other in {*string.ascii_letters[::5], *"019-_=.+/\n", char.swapcase()} - {char}:
            with pytest.raises(CredentialUnreadable):
                open_sealed(RING, sealed[:position] + other + sealed[position + 1 :], BINDING)


def test_the_last_character_has_one_spelling() -> None:
    sealed = seal(RING, Secret(CANARY), BINDING)

    for other in set(string.ascii_letters + string.digits + "-_") - {sealed[-1]}:
        assert_unreadable(sealed[:-1] + other)


def test_every_prefix_is_unreadable() -> None:
    sealed = seal(RING, Secret(CANARY), BINDING)

    for length in range(len(sealed)):
        assert_unreadable(sealed[:length])


@pytest.mark.parametrize("extra", ["A", "=", "==", ".", "\n", " ", "AAAA", "é"])
def test_what_was_added_is_noticed(extra: str) -> None:
    sealed = seal(RING, Secret(CANARY), BINDING)

    assert_unreadable(sealed + extra)
    assert_unreadable(extra + sealed)


@pytest.mark.parametrize(
    "moved",
    [
        replace(BINDING, row="6f1c2f7e-0000-4000-8000-000000000002"),
        replace(BINDING, name="password"),
        replace(BINDING, market="binance"),
        replace(BINDING, endpoint="https://attacker.test"),
        replace(BINDING, endpoint=""),
        replace(BINDING, table="portfolio"),
        replace(BINDING, row=BINDING.row + '", "secret'),
    ],
    ids=["row", "name", "market", "endpoint", "no endpoint", "table", "quoting"],
)
def test_a_sealed_value_does_not_open_elsewhere(moved: Binding) -> None:
    assert_unreadable(seal(RING, Secret(CANARY), BINDING), moved)


def test_two_swapped_values_do_not_open() -> None:
    password = replace(BINDING, name="password")
    sealed = {
        "secret": seal(RING, Secret("one"), BINDING),
        "password": seal(RING, Secret("two"), password),
    }

    assert_unreadable(sealed["password"], BINDING)
    assert_unreadable(sealed["secret"], password)


def test_another_key_of_the_same_id_does_not_open() -> None:
    impostor = KeyRing.from_text(entry("k1", 9))

    assert_unreadable(seal(RING, Secret(CANARY), BINDING), ring=impostor)


def test_a_value_cannot_be_moved_to_another_key_id() -> None:
    same_key_twice = KeyRing.from_text(f"{entry('k1')} {entry('k2')}")
    sealed = seal(same_key_twice, Secret(CANARY), BINDING)

    assert_unreadable(sealed.replace(".k1.", ".k2."), ring=same_key_twice)


def test_a_missing_key_is_named() -> None:
    sealed = seal(RING, Secret(CANARY), BINDING)

    with pytest.raises(CredentialUnreadable, match="sealed with the key k1, which is not on"):
        open_sealed(OTHER_RING, sealed, BINDING)


def test_the_first_key_seals_and_every_key_opens() -> None:
    ring = KeyRing.from_text(f"{entry('k2', 2)}\n{entry('k1')}")

    assert seal(ring, Secret("new"), BINDING).startswith("ps1.k2.")
    assert open_sealed(ring, seal(RING, Secret("old"), BINDING), BINDING).reveal() == "old"


@pytest.mark.parametrize("sealed", ["", "ps1", "ps1..", "ps2.k1.AAAA", "ps1.k 1.AAAA", "ps1.k1.é"])
def test_what_was_never_sealed_does_not_open(sealed: str) -> None:
    with pytest.raises(CredentialUnreadable):
        open_sealed(RING, sealed, BINDING)


def test_fingerprint_is_twelve_digits_that_depend_on_the_key() -> None:
    fingerprint = secret_fingerprint(RING, Secret(CANARY))

    assert len(fingerprint) == 12
    assert set(fingerprint) <= set(string.hexdigits.lower())
    assert fingerprint != secret_fingerprint(OTHER_RING, Secret(CANARY))


def test_fingerprint_tells_secrets_apart() -> None:
    fingerprints = {secret_fingerprint(RING, Secret(f"secret-{n % 50}")) for n in range(100)}

    assert len(fingerprints) == 50


def test_format_is_the_same_in_every_release() -> None:
    sealed = "ps1.k1.Cd55Cs9cISyCaQsgyXid5XqFz18crV_5qfRhJm6aQprWJza0yGqmfptZ2w"

    assert open_sealed(RING, sealed, BINDING) == Secret(CANARY)
    assert secret_fingerprint(RING, Secret(CANARY)) == "8f842055d622"


def test_key_ring_shows_ids_only() -> None:
    assert f"{RING!r} {RING}" == "KeyRing(k1) KeyRing(k1)"


@pytest.mark.parametrize("leak", [pickle.dumps, copy.copy, copy.deepcopy])
def test_key_ring_cannot_be_pickled_or_copied(leak: object) -> None:
    assert callable(leak)
    with pytest.raises(TypeError, match="cannot be pickled"):
        leak(RING)


def test_key_list_may_have_comments_and_blank_lines() -> None:
    ring = KeyRing.from_text(
        f"# comment: a b\n\n  # another\n{entry('k1')}\r\n {entry('k2', 2)} \n"
    )

    assert repr(ring) == "KeyRing(k1, k2)"


SHORT_KEY = base64.b64encode(b"x" * 31).decode()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The key list holds no key"),
        ("# only a comment", "The key list holds no key"),
        (f"{entry('k1')} {entry('k1', 2)}", "two keys of one id"),
        (f"{entry('k1')}\nk2:{SHORT_KEY}", "The key list, key 2 is malformed"),
        (entry("k1")[3:], "key 1 is malformed"),
        (f":{entry('k1')}", "key 1 is malformed"),
        (entry("k.1"), "key 1 is malformed"),
        (entry("k" * 33), "key 1 is malformed"),
        (entry("k1").rstrip("="), "key 1 is malformed"),
        (entry("k1") + "é", "key 1 is malformed"),
    ],
)
def test_a_bad_key_list_is_refused_without_quoting_it(text: str, message: str) -> None:
    with pytest.raises(KeyFileError, match=message) as caught:
        KeyRing.from_text(text)

    assert SHORT_KEY not in str(caught.value)
    assert entry("k1")[3:] not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_new_key_file_opens_what_it_sealed(tmp_path: Path) -> None:
    path = tmp_path / "credentials.key"
    sealed = seal(create_key_file(path), Secret(CANARY), BINDING)

    assert open_sealed(KeyRing.from_file(path), sealed, BINDING) == Secret(CANARY)


def test_a_new_key_file_is_private_and_alone_in_its_folder(tmp_path: Path) -> None:
    path = tmp_path / "credentials.key"
    before = os.umask(0)
    try:
        create_key_file(path)
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_two_key_files_hold_different_keys(tmp_path: Path) -> None:
    one, two = (create_key_file(tmp_path / name) for name in ("one", "two"))

    assert repr(one) != repr(two)
    assert secret_fingerprint(one, Secret("same")) != secret_fingerprint(two, Secret("same"))


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "credentials.key"
    create_key_file(path)
    text = path.read_text()

    with pytest.raises(KeyFileError, match="not overwritten"):
        create_key_file(path)

    assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601, 0o644])
def test_a_key_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "credentials.key"
    create_key_file(path)
    path.chmod(mode)

    with pytest.raises(KeyFileError, match="chmod 600"):
        KeyRing.from_file(path)


def test_a_read_only_key_file_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "credentials.key"
    create_key_file(path)
    path.chmod(0o400)

    assert re.fullmatch(r"KeyRing\(k[0-9a-f]{8}\)", repr(KeyRing.from_file(path)))


def test_a_lost_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"There is no key file at .*lost\.key"):
        KeyRing.from_file(tmp_path / "lost.key")


def test_a_folder_is_no_key_file(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="cannot be read: IsADirectoryError"):
        KeyRing.from_file(tmp_path)


def test_a_binary_file_is_no_key_file(tmp_path: Path) -> None:
    path = tmp_path / "credentials.key"
    path.touch(0o600)
    path.write_bytes(bytes(range(256)))

    with pytest.raises(KeyFileError, match="cannot be read: UnicodeDecodeError"):
        KeyRing.from_file(path)


def test_a_key_file_error_is_an_unreadable_credential(tmp_path: Path) -> None:
    with pytest.raises(CredentialUnreadable) as caught:
        KeyRing.from_file(tmp_path / "lost.key")

    assert caught.value.category == "auth"


def test_secret_key_is_made_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"

    first = read_or_create_secret_key(path)

    assert len(first) >= 50
    assert read_or_create_secret_key(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_secret_key_is_the_same_for_all_who_start_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(read_or_create_secret_key, [tmp_path / "secret.key"] * 32))

    assert len(keys) == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "secret.key"]


def test_secret_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    read_or_create_secret_key(path)
    path.chmod(0o644)

    with pytest.raises(KeyFileError, match="chmod 600"):
        read_or_create_secret_key(path)


def test_secret_key_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    path.touch(0o600)

    with pytest.raises(KeyFileError, match="expected at least 50 characters, were 0"):
        read_or_create_secret_key(path)


def test_secret_key_is_no_part_of_the_vault(tmp_path: Path) -> None:
    read_or_create_secret_key(tmp_path / "secret.key")

    with pytest.raises(KeyFileError):
        KeyRing.from_file(tmp_path / "secret.key")

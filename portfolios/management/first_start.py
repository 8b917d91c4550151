"""What must be there before PosSync can run; each step changes nothing if it was done before."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.staticfiles.finders import get_finders
from django.core.management import CommandError, call_command
from django.db import DatabaseError
from django.utils.translation import gettext as _

from portfolios.services import credentials
from providers.errors import CredentialUnreadable

ADMIN: Final = "admin"
LOOPBACK: Final = "127.0.0.1"


@contextmanager
def data_folder_held(folder: Path) -> Iterator[None]:
    """Let nobody else start on `folder` as long as this lasts; the lock ends with the process, however it ends.

    Raises
    ------
    CommandError
        If PosSync already runs on it, or it cannot be written.
    """
    # Database, key files and logs are for this user only, here and in every process started from here.
    os.umask(0o077)
    try:
        descriptor = os.open(folder / "possync.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as e:
        raise CommandError(
            _("The data folder %(folder)s cannot be written (%(reason)s). Set POSSYNC_DATA_DIR.")
            % {"folder": folder, "reason": e.strerror}
        ) from None
    try:
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def listens(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True


def require_free_port(port: int, hint: str) -> None:
    if not is_free(port):
        raise CommandError(_("Port %(port)d is in use. %(hint)s") % {"port": port, "hint": hint})


def lasting_port(file: Path, wished: int) -> int:
    """Keep one port in `file`: accounts name it in their endpoint, so it may not change between two starts."""
    with suppress(OSError, ValueError):
        return int(file.read_text())
    port = wished if is_free(wished) else _any_free_port()
    file.parent.mkdir(mode=0o700, exist_ok=True)
    file.write_text(f"{port}\n")
    return port


def prepare(say: Callable[[str], None]) -> None:
    """Make database, key files, static files and the user `admin`, as far as they are missing."""
    migrate_database()
    require_credential_keys()
    if password := new_admin_password():
        # Part of the contract of `make run`, and so not translated.
        say(f"admin password: {password}")
    collect_static(settings.STATIC_ROOT)


def migrate_database() -> None:
    try:
        call_command("migrate", verbosity=0, interactive=False)
    except DatabaseError as e:
        raise CommandError(
            _(
                "The database cannot be used (%(reason)s). Look at POSSYNC_DATA_DIR and POSSYNC_DATABASE_URL."
            )
            % {"reason": str(e).strip()}
        ) from None


def require_credential_keys() -> None:
    """Make the key file where no credential needs an older one.

    Raises
    ------
    CommandError
        If stored credentials cannot be opened.
    """
    try:
        credentials.key_ring()
    except CredentialUnreadable as e:
        raise CommandError(str(e)) from None


def new_admin_password() -> str | None:
    """Make the user `admin` if there is none; its password if it was made up here, to be shown once."""
    if User.objects.filter(username=ADMIN).exists():
        return None
    given = os.environ.get("POSSYNC_ADMIN_PASSWORD", "")
    password = given or secrets.token_urlsafe(12)
    User.objects.create_superuser(ADMIN, password=password)
    return None if given else password


def collect_static(root: Path) -> None:
    """Collect, hash and compress the static files, if any of them changed since it was last done."""
    digest, noted = _static_digest(), root / ".collected"
    if noted.is_file() and noted.read_text() == digest:
        return
    call_command("collectstatic", verbosity=0, interactive=False, clear=True)
    noted.write_text(digest)


def _static_digest() -> str:
    digest = hashlib.sha256()
    for finder in get_finders():
        for name, storage in finder.list(ignore_patterns=None):
            file = Path(storage.path(name)).stat()
            digest.update(f"{name}\0{file.st_size}\0{file.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _any_free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
    return port


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise CommandError(
            _(
                "PosSync already runs on the data folder %(folder)s. "
                "Stop it first, or set POSSYNC_DATA_DIR."
            )
            % {"folder": folder}
        ) from None

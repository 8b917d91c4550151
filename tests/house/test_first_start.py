from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError
from pytest_django.fixtures import Settings

from portfolios.management import first_start


@pytest.fixture(autouse=True)
def kept_umask() -> Iterator[None]:
    umask = os.umask(0o022)
    yield
    os.umask(umask)


@pytest.fixture
def hashed_static_files(settings: Settings, tmp_path: Path) -> Path:
    """Have static files of one's own collected into a folder of one's own, which is returned."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "page.css").write_text("a {}")
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    settings.STATICFILES_DIRS = [tmp_path / "own"]
    settings.STATIC_ROOT = tmp_path / "collected"
    return tmp_path / "collected"


def test_static_files_are_collected(hashed_static_files: Path) -> None:
    first_start.collect_static(hashed_static_files)

    assert (hashed_static_files / "page.css").read_text() == "a {}"


def test_unchanged_static_files_are_not_collected_again(hashed_static_files: Path) -> None:
    first_start.collect_static(hashed_static_files)
    (hashed_static_files / "page.css").unlink()

    first_start.collect_static(hashed_static_files)

    assert not (hashed_static_files / "page.css").exists()


def test_changed_static_files_are_collected_again(
    hashed_static_files: Path, tmp_path: Path
) -> None:
    first_start.collect_static(hashed_static_files)
    (tmp_path / "own" / "page.css").write_text("a { color: red }")

    first_start.collect_static(hashed_static_files)

    assert (hashed_static_files / "page.css").read_text() == "a { color: red }"


@pytest.mark.django_db
def test_the_admin_may_do_everything() -> None:
    password = first_start.new_admin_password()

    admin = User.objects.get(username="admin")
    assert admin.is_superuser
    assert admin.is_staff
    assert admin.check_password(password or "")


@pytest.mark.django_db
def test_a_given_password_is_used_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSSYNC_ADMIN_PASSWORD", "given by the operator")

    assert first_start.new_admin_password() is None
    assert User.objects.get(username="admin").check_password("given by the operator")


@pytest.mark.django_db
def test_the_password_of_an_existing_admin_stays() -> None:
    User.objects.create_superuser("admin", password="chosen")

    assert first_start.new_admin_password() is None
    assert User.objects.get(username="admin").check_password("chosen")


def test_the_port_of_the_practice_exchange_lasts(tmp_path: Path) -> None:
    file = tmp_path / "demo" / "port"
    first = first_start.lasting_port(file, 0)

    assert first_start.lasting_port(file, first + 1) == first


def test_the_practice_exchange_takes_another_port_where_the_wished_one_is_in_use(
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        wished = server.getsockname()[1]

        port = first_start.lasting_port(tmp_path / "demo" / "port", wished)

    assert 0 < port != wished


def test_a_data_folder_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    with (
        first_start.data_folder_held(tmp_path),
        pytest.raises(CommandError, match="already runs"),
        first_start.data_folder_held(tmp_path),
    ):
        pass


def test_a_data_folder_is_free_again_afterwards(tmp_path: Path) -> None:
    with first_start.data_folder_held(tmp_path):
        pass

    with first_start.data_folder_held(tmp_path):
        assert (tmp_path / "possync.lock").exists()

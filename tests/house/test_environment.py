"""What an operator may set, and what is said of all else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from possync_site.environment import Environment
from tests.house.processes import ROOT, product_environment

NAME = "POSSYNC_TRIED"


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> Environment:
    monkeypatch.delenv(NAME, raising=False)
    return Environment()


def refused(env: Environment, kind: str) -> str:
    asked: dict[str, Callable[[], object]] = {
        "whole": lambda: env.whole(NAME, 4, least=1, most=64),
        "one_of": lambda: env.one_of(NAME, "local", ("local", "production")),
        "flag": lambda: env.flag(NAME, default=True),
        "database": lambda: env.database(NAME),
    }
    with pytest.raises(ImproperlyConfigured) as refusal:
        asked[kind]()
    return str(refusal.value)


@pytest.mark.parametrize("told", ["", "  "])
def test_what_is_empty_is_not_set(
    env: Environment, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    monkeypatch.setenv(NAME, told)

    assert env.whole(NAME, 4, least=1, most=64) == 4
    assert env.one_of(NAME, "local", ("local", "production")) == "local"
    assert env.flag(NAME, default=True)
    assert env.database(NAME) is None


@pytest.mark.parametrize(
    ("kind", "told", "expected"),
    [
        ("whole", "0", "a whole number from 1 to 64"),
        ("whole", "-5", "a whole number from 1 to 64"),
        ("whole", "65", "a whole number from 1 to 64"),
        ("whole", "4.5", "a whole number from 1 to 64"),
        ("whole", "four", "a whole number from 1 to 64"),
        ("one_of", "prodution", "local or production"),
        ("flag", "maybe", "1 or 0"),
    ],
)
def test_what_means_nothing_is_named_with_what_is_expected(
    env: Environment, monkeypatch: pytest.MonkeyPatch, kind: str, told: str, expected: str
) -> None:
    monkeypatch.setenv(NAME, told)

    assert refused(env, kind) == f'{NAME} is "{told}"; expected {expected}.'


@pytest.mark.parametrize(
    "told",
    [
        "nonsense",
        "mysql://user:hunter2@127.0.0.1/books",
        "postgres://user:hunter2@127.0.0.1:port/books",
        "postgres://user:hunter2#@127.0.0.1/books",
        "postgres://user:hunter2@127.0.0.1/",
        "postgres://",
    ],
)
def test_a_database_that_is_none_is_refused_and_its_password_not_repeated(
    env: Environment, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    monkeypatch.setenv(NAME, told)

    said = refused(env, "database")

    assert said.startswith(NAME)
    assert "hunter2" not in said


def test_letters_may_be_of_any_case(env: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, "Production")

    assert env.one_of(NAME, "local", ("local", "production")) == "production"


def test_a_command_ends_with_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "worker"],
        cwd=ROOT,
        env=product_environment(tmp_path, POSSYNC_WORKERS="-1"),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    assert done.stderr == (
        'possync: POSSYNC_WORKERS is "-1"; expected a whole number from 1 to 64.\n'
    )

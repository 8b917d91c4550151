"""The practice exchange's memory: one JSON file, amounts as strings, replaced as a whole."""

from __future__ import annotations

import json
import os
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from providers.sandbox.books import Account, Instrument
from providers.sandbox.engine import Engine
from providers.sandbox.errors import StateUnreadable

VERSION: Final = 1


def engine_document(engine: Engine) -> dict[str, Any]:
    with engine.lock:
        return {
            "next_id": engine.next_id,
            "instruments": [_written(x) for x in engine.instruments()],
            "accounts": [_written(x) for x in engine.accounts.values()],
        }


def restore_engine(engine: Engine, document: Mapping[str, Any]) -> None:
    """Replace everything that `engine` holds; its ids go on where they were."""
    instruments: list[Instrument] = [_read(Instrument, x) for x in document["instruments"]]
    accounts: list[Account] = [_read(Account, x) for x in document["accounts"]]
    engine.restore(instruments, accounts, int(document["next_id"]))


def write_state(path: Path, engine: Engine, scenario: Mapping[str, Any]) -> None:
    """Write the file so that a reader, or a power cut, meets the old one or the new one."""
    document = {"version": VERSION, "engine": engine_document(engine), "scenario": scenario}
    draft = path.with_name(f"{path.name}.new")
    # It holds the practice keys, so it is for its owner only.
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(document, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def read_state(path: Path, engine: Engine) -> dict[str, Any] | None:
    """Restore `engine`, and hand back what the scenario had written; None if there is no file.

    Raises
    ------
    StateUnreadable
        If the file is not one that `write_state` wrote.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        _check_version(document["version"])
        restore_engine(engine, document["engine"])
        return dict(document["scenario"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as e:
        raise StateUnreadable(
            f"Expected the state of a practice exchange in {path.name}, was unreadable ({e}). "
            "Move the file away to begin anew."
        ) from None


def _check_version(version: int) -> None:
    if version != VERSION:
        raise ValueError(f"version {version}")


def _written(value: Any) -> Any:
    if is_dataclass(value):
        return {x.name: _written(getattr(value, x.name)) for x in fields(value)}
    if isinstance(value, Mapping):
        return {key: _written(x) for key, x in value.items()}
    if isinstance(value, frozenset):
        return [_written(x) for x in sorted(value)]
    if isinstance(value, list):
        return [_written(x) for x in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value


def _read(kind: Any, value: Any) -> Any:
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        return kind(**{name: _read(hints[name], x) for name, x in value.items()})
    if get_origin(kind) in (types.UnionType, Union):
        (inner,) = (x for x in get_args(kind) if x is not types.NoneType)
        return None if value is None else _read(inner, value)
    if get_origin(kind) is not None:
        return _read_container(get_origin(kind), get_args(kind)[-1], value)
    if kind is datetime:
        return datetime.fromisoformat(value)
    if isinstance(kind, type) and issubclass(kind, Decimal | StrEnum):
        return kind(value)
    return value


def _read_container(container: Any, inner: Any, value: Any) -> Any:
    if container is dict:
        return {key: _read(inner, x) for key, x in value.items()}
    return container(_read(inner, x) for x in value)

"""The catalogue of translations: ``python -m scripts.messages`` brings it up to date, ``--check`` says what is wrong.

What the code and the templates say in English is the key. A new text enters without a translation, a text that is
gone leaves, and the compiled catalogue is written anew. The check fails while a text has no translation, a
translation is marked fuzzy or has other placeholders than its text, or the catalogue is not that of the code.
Needs neither xgettext nor msgfmt.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from django.utils.translation.template import templatize

ROOT: Final = Path(__file__).resolve().parent.parent
LOCALE: Final = "zh_Hans"
CATALOGUE: Final = ROOT / "portfolios" / "locale" / LOCALE / "LC_MESSAGES" / "django.po"
COMPILED: Final = CATALOGUE.with_suffix(".mo")
CODE: Final = ("portfolios", "possync_site")
NOT_READ: Final = ("migrations",)
# What `import gettext_lazy as _` hides is found as `_`.
KEYWORDS: Final = {
    **DEFAULT_KEYWORDS,
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext_lazy": (1, 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext_lazy": ((1, "c"), 2, 3),
}
# "%(name)s", "%s" and "{name}": a lost one is an error or a hole in a sentence, a foreign one an error.
PLACEHOLDER: Final = re.compile(r"%\(\w+\)[a-z]|%[a-z%]|\{\w*\}")

# A context and a text: what a translation is looked up by.
Key = tuple[str, str]


def main(arguments: list[str] | None = None) -> int:
    """Return 1 if the check finds something, else 0."""
    parser = argparse.ArgumentParser(prog="python -m scripts.messages", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing, say what is wrong")
    is_check = parser.parse_args(arguments).check
    catalogue = _read(CATALOGUE)
    texts = {key: message for message in said(ROOT) for key in [_key(message)]}
    if is_check:
        wrong = [*faults(catalogue, texts), *_not_compiled(catalogue)]
        print("\n".join(wrong), file=sys.stderr, end="\n" if wrong else "")
        return int(bool(wrong))
    _write(_brought_up_to_date(catalogue, texts))
    return 0


def said(root: Path) -> Iterator[Message]:
    """Give every text of the code and the templates below `root`, once, with the files that say it."""
    found = Catalog(locale=LOCALE)
    for path in _files(root):
        for _line, ids, comments, context in extract(
            "python", BytesIO(_as_python(path)), KEYWORDS, comment_tags=("Translators:",)
        ):
            name = path.relative_to(root).as_posix()
            found.add(ids, locations=[(name, 0)], auto_comments=comments, context=context)
    return (message for message in found if message.id)


def faults(catalogue: Catalog, texts: Mapping[Key, Message]) -> Iterator[str]:
    """Say what stands between `catalogue` and a complete translation of `texts`."""
    translated = {_key(message): message for message in catalogue if message.id}
    for key in texts.keys() - translated.keys():
        yield f"not in the catalogue: {key[1]!r}"
    for key, message in translated.items():
        if key not in texts:
            yield f"nowhere said any more: {key[1]!r}"
        elif message.fuzzy:
            yield f"fuzzy: {key[1]!r}"
        elif not all(_strings(message)):
            yield f"not translated: {key[1]!r}"
        elif any(
            _placeholders(_ids(message)[-1:]) != _placeholders([x]) for x in _strings(message)
        ):
            yield f"other placeholders: {key[1]!r}"


def _not_compiled(catalogue: Catalog) -> Iterator[str]:
    if COMPILED.read_bytes() != _compiled(catalogue):
        yield f"{COMPILED.name} is not what {CATALOGUE.name} says: run python -m scripts.messages"


def _compiled(catalogue: Catalog) -> bytes:
    file = BytesIO()
    write_mo(file, catalogue)
    return file.getvalue()


def _brought_up_to_date(old: Catalog, texts: Mapping[Key, Message]) -> Catalog:
    new = Catalog(
        locale=LOCALE,
        project="PosSync",
        version="1",
        msgid_bugs_address="",
        last_translator="",
        language_team="",
        header_comment="# Simplified Chinese. Kept by `python -m scripts.messages`.",
        creation_date=old.creation_date,
        revision_date=old.revision_date,
        fuzzy=False,
    )
    for key, message in texts.items():
        known = old.get(message.id, message.context)
        new.add(
            message.id,
            known.string if known else "",
            message.locations,
            flags=known.flags if known else (),
            auto_comments=message.auto_comments,
            user_comments=known.user_comments if known else (),
            context=key[0] or None,
        )
    return new


def _read(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=LOCALE)


def _write(catalogue: Catalog) -> None:
    with CATALOGUE.open("wb") as file:
        write_po(file, catalogue, width=100, sort_output=True, include_lineno=False)
    # What was written, not what was meant to be: a message has no order and no files of its own in it.
    COMPILED.write_bytes(_compiled(_read(CATALOGUE)))


def _files(root: Path) -> Iterable[Path]:
    code = (path for name in CODE for path in (root / name).rglob("*.py"))
    paths = [*code, *(root / "templates").rglob("*.html")]
    return sorted(path for path in paths if not set(NOT_READ) & set(path.parts))


def _as_python(path: Path) -> bytes:
    """Return code as it is; of a template the gettext calls it stands for, not indented."""
    if path.suffix == ".py":
        return path.read_bytes()
    calls = templatize(path.read_text(), origin=str(path))
    return "\n".join(line.strip() for line in calls.splitlines()).encode()


def _key(message: Message) -> Key:
    return message.context or "", _ids(message)[0]


def _ids(message: Message) -> list[str]:
    return [message.id] if isinstance(message.id, str) else list(message.id)


def _strings(message: Message) -> list[str]:
    return [message.string] if isinstance(message.string, str) else list(message.string or ("",))


def _placeholders(texts: Iterable[str]) -> set[str]:
    return {found for text in texts for found in PLACEHOLDER.findall(text)}


if __name__ == "__main__":
    sys.exit(main())

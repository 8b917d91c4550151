"""Secrets that are planted to be looked for, in every spelling in which they could get out."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterator, Mapping
from urllib.parse import quote, quote_plus

# What a header carries has to be plain; everything else may hold what breaks quoting of every kind.
HOSTILE = "+/=&<\"'\\ é%s{0}"


def canary(name: str, *, plain: bool = False) -> str:
    return f"CANARY{name}Qx9Zp" if plain else f"CANARY{name}{HOSTILE}Qx9Zp"


def spellings(secret: str) -> Iterator[str]:
    """Write `secret` in every way that pages, logs, URLs, JSON and dumps may."""
    raw = secret.encode()
    yield secret
    yield quote(secret)
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield quote(quote(secret, safe=""), safe="")
    yield html.escape(secret)
    yield html.escape(html.escape(secret))
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield json.dumps(json.dumps(secret))[3:-3]
    yield repr(secret)[1:-1]
    yield ascii(secret)[1:-1]
    yield raw.hex()
    for offset in range(3):
        # Without the characters that depend on what stands around it.
        core = base64.b64encode(bytes(offset) + raw).decode()[4 if offset else 0 : -4]
        yield core
        yield core.translate(str.maketrans("+/", "-_"))


def hits(sinks: Mapping[str, str], secrets: Mapping[str, str]) -> list[str]:
    """Name the sinks that hold a secret, and which."""
    written = {
        name: [spelling.lower() for spelling in spellings(secret)]
        for name, secret in secrets.items()
    }
    found = []
    for sink, text in sinks.items():
        lowered = text.lower()
        found += [
            f"{name} in {sink}"
            for name, spelt in written.items()
            if any(spelling in lowered for spelling in spelt)
        ]
    return found

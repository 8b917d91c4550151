"""Names as Kraken spells them: assets, pairs, ids, secrets.

Sources: "Kraken Spot REST API: Get Asset Info, Get Tradable Asset Pairs, Authentication".
"""

from __future__ import annotations

import base64
import re
from typing import Final

# Where Kraken's name of an asset is not everybody's.
_ALTNAMES: Final = {"BTC": "XBT", "DOGE": "XDG", "LUNA": "LUNA2", "LUNC": "LUNA", "USTC": "UST"}
_OLD_COINS: Final = ("ETC", "ETH", "LTC", "MLN", "XBT", "XDG", "XLM", "XMR", "XRP", "ZEC")
_FIAT: Final = ("AUD", "CAD", "EUR", "GBP", "JPY", "USD")
# Only what was listed in the first years bears the prefix of its kind.
_IDS: Final = {name: f"X{name}" for name in _OLD_COINS} | {name: f"Z{name}" for name in _FIAT}

ORDER: Final = "O"
TRADE: Final = "T"
LEDGER: Final = "L"
DEPOSIT: Final = "Q"
WITHDRAWAL: Final = "A"
MOVEMENT: Final = "S"
_ID: Final = re.compile(r"[A-Z]([A-Z2-7]{5})-([A-Z2-7]{5})-([A-Z2-7]{6})")
_ID_BYTES: Final = 10
_MODULUS: Final = 1 << 8 * _ID_BYTES
# Odd, so that multiplying by it can be undone: ids that follow each other do not look alike.
_SPREAD: Final = 0x9E3779B97F4A7C15F39D
_GATHER: Final = pow(_SPREAD, -1, _MODULUS)


def altname(asset: str) -> str:
    """Spell ``BTC`` as ``XBT``, and ``BTC.F``, which earns, as ``XBT.F``."""
    name, dot, suffix = asset.partition(".")
    return _ALTNAMES.get(name, name) + dot + suffix


def asset_id(asset: str) -> str:
    name = altname(asset)
    return _IDS.get(name, name)


def is_fiat(asset: str) -> bool:
    return asset in _FIAT


def pair_name(symbol: str) -> str:
    base, _, quote = symbol.partition("/")
    return altname(base) + altname(quote)


def pair_id(symbol: str) -> str:
    """Spell ``BTC/USD`` as ``XXBTZUSD``, but ``BTC/USDT`` as ``XBTUSDT``."""
    names = [altname(asset) for asset in symbol.split("/")]
    if all(name in _IDS for name in names):
        return "".join(_IDS[name] for name in names)
    return "".join(names)


def txid(kind: str, number: str) -> str:
    """Spell the engine's id `number` as in ``OXVPSU-Q726F-L3SDEP``; `kind` is its first letter."""
    spread = int(number) * _SPREAD % _MODULUS
    text = base64.b32encode(spread.to_bytes(_ID_BYTES)).decode()
    return f"{kind}{text[:5]}-{text[5:10]}-{text[10:]}"


def number_of(kind: str, spelled: str) -> str | None:
    """Find the engine's id again; None if it is no id of this kind."""
    parts = _ID.fullmatch(spelled)
    if parts is None or not spelled.startswith(kind):
        return None
    spread = int.from_bytes(base64.b32decode("".join(parts.groups())))
    return str(spread * _GATHER % _MODULUS)


def shown_secret(secret: str) -> str:
    """Spell an account's secret as its user is given it: Kraken hands out base64."""
    return base64.b64encode(secret.encode()).decode()

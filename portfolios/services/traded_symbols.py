"""The symbols that an account has orders of, found without looking through its orders."""

from __future__ import annotations

from typing import Final

from django.db import connection

from portfolios.models import ExchangeAccount

# From each symbol to the next by the index. DISTINCT reads all orders that there ever were, at every sync.
EACH_SYMBOL: Final = """
WITH RECURSIVE traded(symbol) AS (
    SELECT min(symbol) FROM portfolios_order WHERE account_id = %s
    UNION ALL
    SELECT (SELECT min(symbol) FROM portfolios_order WHERE account_id = %s AND symbol > traded.symbol)
    FROM traded WHERE traded.symbol IS NOT NULL
)
SELECT symbol FROM traded WHERE symbol IS NOT NULL
"""


def traded_symbols(account: ExchangeAccount) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(EACH_SYMBOL, [account.pk, account.pk])
        return {symbol for (symbol,) in cursor.fetchall()}

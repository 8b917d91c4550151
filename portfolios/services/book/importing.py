"""The import of a book document, all or nothing."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from portfolios.models import ExchangeAccount
from portfolios.services.accounts import disturb
from portfolios.services.book.accounts import import_account
from portfolios.services.book.changes import Import, ImportResult
from portfolios.services.book.document import BookError, Node, node_at
from portfolios.services.book.orders import import_orders
from portfolios.services.book.portfolios import import_portfolio, import_position
from portfolios.services.book.rules import import_asset_rule, import_claim_rule
from portfolios.services.ledger import rewrite_reserved


def import_book(document: Any) -> ImportResult:
    """Bring the books to what the document says; an equal document changes nothing.

    What a row does not name stays as it is stored. Waits until a sync that is just booking has ended.

    Raises
    ------
    BookError
        If a value is bad, or would change what cannot be changed; then nothing at all is imported.
    """
    try:
        with transaction.atomic():
            return _import(node_at("$", document))
    except ValidationError as e:
        raise BookError("$", " ".join(e.messages)) from None
    except IntegrityError:
        raise BookError(
            "$", _("somebody else changed the same books at the same time; import it again")
        ) from None


def _import(root: Node) -> ImportResult:
    # All of them, in one order: whoever books takes this lock first, so a sync and an import, or two imports, neither
    # write the same positions nor wait for each other in a circle.
    accounts = ExchangeAccount.objects.select_for_update().order_by("pk")
    under_way = Import(accounts={account.label: account for account in accounts})
    for node in root.rows("accounts"):
        import_account(node, under_way)
    for node in root.rows("portfolios"):
        import_portfolio(node, under_way)
    for node in root.rows("positions"):
        import_position(node, under_way)
    import_orders(root.rows("orders"), under_way)
    for node in root.rows("asset_rules"):
        import_asset_rule(node, under_way)
    for node in root.rows("claim_rules"):
        import_claim_rule(node, under_way)
    root.refuse_unknown()
    for account in under_way.booked.values():
        rewrite_reserved(account)
    if under_way.result.created or under_way.result.updated:
        disturb(under_way.booked)
    return under_way.result

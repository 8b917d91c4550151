"""The sentences that syncs store with names and numbers in them, as they are written where they are stored.

A test finds each sentence of the services and of the providers here or, without names, in the catalogue.
"""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_noop as _

# Why books and exchange differ, and why a discrepancy turned.
_DIFFERENCES: Final = (
    _("the exchange does not know this order"),
    _("the exchange does not know this order (proof %(strikes)s of 3)"),
    _("it looks like order %(order)s"),
    _("is order %(order)s of the exchange"),
    _("portfolios claim more than the account holds"),
    _("a new baseline was accepted"),
    _("accepted as lapsed"),
    _("agrees again"),
    _("changed"),
    _("found again"),
    _("is what was dismissed"),
    _("is more than what was acknowledged"),
    _("the time it was acknowledged for is over"),
    _("new asset"),
    _("vanished"),
    _("drift"),
    _("unexplained"),
    _("explained"),
    _("ambiguous"),
    _("%(count)s explanations"),
    _("two ends that cannot both hold"),
    _("the exchange reports less filled"),
    _("it is known there after all"),
    _("the exchange shows it open again after its end"),
    _("more was filled than was ordered; all of it is booked"),
    _("it has ended with less than its fills add up to; all of them are booked"),
    _("not all of its fills were told yet"),
    _("the exchange does not say how much was filled"),
    _("the exchange calls it %(name)s"),
    _("%(kind)s on its way"),
    _("what was read waits for lists that could not be read"),
    _("%(what)s (and %(number)s more)"),
    _("opening of %(portfolio)s"),
    _("%(asset)s of the unassigned part"),
)
_FILLS: Final = (
    _("fills from %(begin)s to %(end)s UTC are no longer told by %(market)s"),
    _("its order %(order)s could not be read, or is not known at the exchange"),
    _("its order %(order)s contradicts the books and is left as it is"),
    _("its order %(order)s could not be booked; the exceptions tell why"),
    _("no fee is reported yet"),
    _("fill %(fill)s: %(what)s"),
    _("fill %(fill)s is no longer told by the exchange"),
    _("it was told of order %(order)s before"),
    _("symbol %(was)s is told as %(now)s"),
    _("side %(was)s is told as %(now)s"),
    _("amount %(was)s is told as %(now)s"),
    _("price %(was)s is told as %(now)s"),
    _("cost %(was)s is told as %(now)s"),
    _("fee %(was)s is told as %(now)s"),
    _("order %(was)s is told as %(now)s"),
)
# Why an asset could not be judged, or is not settled.
_VERDICTS: Final = (
    _("balances were not read"),
    _("not listed by an incomplete read"),
    _("the account has no baseline yet"),
    _("open orders were not all read"),
    _("used not reported"),
    _("an open order has no price"),
    _("total not reported"),
    _("what happened meanwhile is not all read yet"),
    _("stale venue read"),
    _("may be the moment of the read"),
)
# What is written through gettext where it is stored.
_PROPOSALS: Final = (
    "Run manage.py rebuild_positions --account %(label)s.",
    "filled of order %(id)s",
    "%(stored)s stored, %(recomputed)s recomputed",
    "%(name)s: %(text)s is stored as an amount, and is none",
    "Balances read: %(count)s assets.",
    "The exchange's clock is %(seconds)s s from ours.",
    "movement %(id)s of %(amount)s %(asset)s, of unknown kind, counts",
    "%(kind)s %(id)s of %(amount)s %(asset)s failed, and has not come back",
    "%(kind)s %(id)s of %(amount)s %(asset)s has not left yet",
    "%(kind)s %(id)s of %(amount)s %(asset)s counts, though it is not recorded as done",
    "%(amount)s %(asset)s were moved from %(source)s to %(target)s",
    "the other side of transfer %(id)s, which is recorded in %(wallet)s",
    "%(account)s: %(difference)s %(asset)s in %(wallet)s since %(since)s",
    "%(amount)s %(asset)s came from account %(account)s",
    "%(amount)s %(asset)s went to account %(account)s",
    "%(longer)s may be another name of %(shorter)s",
    "the exchange rounded %(asset)s otherwise",
    "order %(id)s (%(side)s %(symbol)s) was filled by %(amount)s %(asset)s unseen",
    "%(status)s in the books, %(remaining)s %(asset)s not filled, price %(price)s",
    "the exchange has not known it since %(time)s UTC",
    "a fee of %(amount)s %(asset)s on %(symbol)s, which was not told",
    "a fee of %(amount)s %(asset)s",
    "a fee of %(rate)s in %(asset)s",
    "fill %(id)s, %(side)s %(amount)s %(symbol)s without a fee",
    "fill %(id)s of %(amount)s %(symbol)s was undone",
    "%(count)s problem while booking; see the exceptions.",
    "%(count)s problems while booking; see the exceptions.",
)
# What could not be booked or applied.
_REFUSALS: Final = (
    _(
        "Order %(order)s is %(side)s %(symbol)s in the books and %(other_side)s %(other)s at the exchange. It was left "
        "as it is."
    ),
    _(
        "Order %(order)s has the client id %(client)s at the exchange; in the books these are the ids of two orders. "
        "It was left as it is."
    ),
    _(
        "Order %(order)s (%(symbol)s) is in no book, and the exchange does not report its side and amount. It was not "
        "stored."
    ),
    _(
        "Order %(order)s (%(symbol)s) is reported as filled without any price. Nothing was booked; it is tried again "
        "at the next sync."
    ),
    _(
        "Order %(order)s (%(symbol)s) has the status %(told)s, which is not known. Its status stays %(status)s."
    ),
    _(
        "%(market)s asked not to be read before %(time)s UTC. Nothing was sent; the account is synced after that."
    ),
    _("There is no available balance on the exchange for %(symbol)s on market %(market)s."),
    _(
        "Please make sure that you have an available balance of at least %(needed)s on the exchange."
    ),
    _(
        "Please make sure that you have an available balance on the exchange for %(symbol)s on market %(market)s."
    ),
    _(
        "The initial balance of the portfolio configuration (%(opening)s) is more than the available balance on the "
        "exchange. Please make sure that the initial balance of the portfolio configuration is less than the available "
        "balance on the exchange %(available)s."
    ),
)
# Why a read was not made, not whole or not believed.
_READS: Final = (
    _("not believed"),
    _("%(gone)s of %(held)s assets are gone at once: %(assets)s"),
    _("no order is listed, %(number)s were open"),
    _("broken off"),
    _("this provider tells no fills"),
    _("the fills add up to %(sum)s of %(filled)s"),
    _("%(market)s tells fills by its own order ids only, and none is known"),
    _("when the order was made is not known"),
    _("some fills do not say of which order they are"),
    _("the exchange tells no fills before %(time)s"),
    _("%(market)s lists no deposits and withdrawals"),
    _("more than %(number)s parts of the account are listed"),
    _("%(market)s asks for fewer requests"),
    _("%(number)s more orders turned up by their fills"),
    _("%(market)s lists no orders that have ended"),
    _("canceled orders are not listed"),
    _("trigger orders that ended are listed apart"),
    _("older rows may be left out between pages"),
    _("page %(page)s is full with %(rows)s rows and leads to no other"),
    _("there are more than %(number)s pages"),
    _("they are listed by symbol, and none is known"),
    _(
        "other symbols than the %(number)s that are read are not covered, %(pairs)s pairs of the account's assets "
        "among them"
    ),
    _("other symbols than the %(number)s that are read are not covered"),
    _(
        "other symbols than %(symbols)s are not covered, %(pairs)s pairs of the account's assets among them"
    ),
    _("other symbols than %(symbols)s are not covered"),
)
# What went wrong at an exchange, or on the way to it.
_ERRORS: Final = (
    _("%(market)s did not answer in time."),
    _("%(market)s did not answer before this sync had to end."),
    _("Market service %(market)s does not support functionality %(name)s"),
    _(
        "External order not found for order %(order)s at market %(market)s. It stays as it is in the books."
    ),
    _("No whole answer to %(request)s within %(seconds)s seconds."),
    _("The connection failed at %(request)s: %(error)s."),
    _("%(request)s was answered with a redirect (%(status_code)s), which is not followed."),
    _("The answer to %(request)s is longer than %(bytes)s bytes."),
    _("No ccxt exchange for market id %(market)s"),
    _(
        "Market credential for market %(market)s requires %(secret)s, either as an argument or as an environment "
        "variable named as %(variable)s"
    ),
    _(
        "Exchange %(market)s does not advertise a sandbox/testnet endpoint; switch the sandbox off for this account, "
        "or use another market."
    ),
    _("its host is not a name or an address"),
    _("its host %(host)s is not on the list"),
    _("plain http may go to loopback only"),
    _("it is not a URL of plain ASCII"),
    _("it is not a URL"),
    _("it starts with neither http:// nor https://"),
    _("it carries a user name"),
    _("it is more than a scheme, a host and a port"),
    _(
        "This endpoint is not allowed: %(what)s. The operator lists allowed hosts in POSSYNC_ENDPOINT_ALLOWLIST."
    ),
    _(
        "The stored credential cannot be opened: it, its row or its key was changed. Enter the credential again."
    ),
    _(
        "The stored credential was sealed with the key %(key)s, which is not on the key ring. Restore that key, or "
        "enter the credential again."
    ),
    _("There is no key file at %(path)s. Restore it from a backup."),
    _("The key file %(path)s cannot be read: %(error)s."),
    _("Others than its owner may use the key file %(path)s. Run: chmod 600 %(path)s"),
)
SENTENCES: Final = tuple(
    sentence
    for sentence in (
        *_DIFFERENCES,
        *_FILLS,
        *_VERDICTS,
        *_PROPOSALS,
        *_REFUSALS,
        *_READS,
        *_ERRORS,
    )
    if "%(" in sentence
)

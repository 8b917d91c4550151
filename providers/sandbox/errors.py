"""Everything that the practice exchange's engine refuses.

* SandboxError
  x Unknown              there is no such thing
    + UnknownKey
    + UnknownInstrument
    + UnknownOrder
    + UnknownFill
    + UnknownDeposit
    + UnknownWithdrawal
  x Refused              it exists, but not like this
    + InsufficientFunds
    + PriceRefused       not positive, or not a multiple of the price step
    + AmountRefused      not positive, not a multiple of the amount step, or more than is left
    + OrderNotOpen
    + OrdersDoNotMeet
    + DuplicateClientOrderId
  x StateUnreadable      the state file is not one that this engine wrote
  x AddressInUse         something else listens where the server should

A dialect turns them into its exchange's own codes.
"""

from __future__ import annotations


class SandboxError(Exception):
    pass


class Unknown(SandboxError):
    pass


class UnknownKey(Unknown):
    pass


class UnknownInstrument(Unknown):
    pass


class UnknownOrder(Unknown):
    pass


class UnknownFill(Unknown):
    pass


class UnknownDeposit(Unknown):
    pass


class UnknownWithdrawal(Unknown):
    pass


class Refused(SandboxError):
    pass


class InsufficientFunds(Refused):
    pass


class PriceRefused(Refused):
    pass


class AmountRefused(Refused):
    pass


class OrderNotOpen(Refused):
    pass


class OrdersDoNotMeet(Refused):
    pass


class DuplicateClientOrderId(Refused):
    pass


class StateUnreadable(SandboxError):
    pass


class AddressInUse(SandboxError):
    pass

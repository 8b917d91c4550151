"""Where ccxt's parsers tell something else than the exchange; row by row, each with its reason. Pure.

A correction looks at the raw row only for what the exchange documents, and prefers "unknown" to a guess.
"""

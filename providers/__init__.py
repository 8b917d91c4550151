"""Everything that talks to an exchange.

Plain Python: knows no Django and no database. The border is one call,
`PortfolioProvider.fetch_snapshot(SnapshotRequest) -> Snapshot`; `fetching.fetch_snapshots` runs it for many
accounts at once.
"""

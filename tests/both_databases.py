"""The test files that the gate runs on PostgreSQL too."""

from __future__ import annotations

# What two databases can do differently: keep, add up, compare and sort amounts; refuse a row; hold a lock; find rows
# again that are written together. With a full sync of every kind and every page once. What else talks to a database
# asks nothing of it that these do not; where proof is asked for, all of it is run.
BOTH_DATABASES = (
    "tests/databases/test_compiled_queries.py",
    "tests/house/test_conftest.py",
    "tests/portfolios/selectors/test_comparison.py",
    "tests/portfolios/scenarios/test_concurrency.py",
    "tests/portfolios/scenarios/test_lives.py",
    "tests/portfolios/test_append_only.py",
    "tests/portfolios/test_fields.py",
    "tests/portfolios/test_tasks.py",
    "tests/portfolios/test_number_survival.py",
    "tests/portfolios/test_query_plans.py",
    "tests/portfolios/services/test_budgets.py",
    "tests/portfolios/services/test_breakers.py",
    "tests/portfolios/services/test_discrepancies.py",
    "tests/portfolios/services/test_integrity.py",
    "tests/portfolios/services/test_ledger.py",
    "tests/portfolios/services/test_order_batch.py",
    "tests/portfolios/services/test_quiet_runs.py",
    "tests/portfolios/services/test_quiet_runs_together.py",
    "tests/portfolios/services/test_runs.py",
    "tests/portfolios/views/test_every_page.py",
)

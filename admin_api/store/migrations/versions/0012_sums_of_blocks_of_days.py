"""Sums of blocks of days and of all time, so that a long range is read from few rows."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_BLOCK = 16 * 86_400
_SUMS = (
    "requests", "errors", "estimated", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens",
    "reasoning_tokens", "cost_nano_usd", "unpriced", "cached", "saved_input_tokens", "saved_output_tokens", "saved_nano_usd",
)  # fmt: skip
_TABLES = {
    "usage_sums": (("kind", "name"), _SUMS, " AND kind <> 'key'"),  # keys have theirs of all time already
    "latency_counts": (("provider", "measure", "bucket"), ("count",), ""),
}


def upgrade() -> None:
    """Hours that are not folded yet come to theirs when they are."""
    for table, (names, sums, where) in _TABLES.items():
        kept, summed = ", ".join(names), ", ".join(f"SUM({name})" for name in sums)
        for span, at in (("b", f"at - at % {_BLOCK}"), ("e", "at * 0")):
            op.execute(
                sa.text(
                    f"INSERT INTO {table} (span, at, {kept}, {', '.join(sums)}) "  # noqa: S608  (our own words)
                    f"SELECT '{span}', {at}, {kept}, {summed} FROM {table} WHERE span = 'd'{where} GROUP BY {at}, {kept}"
                )
            )

"""Sums lie in the order in which views read them: a range is one stretch of the file (SQLite)."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_KEYS = {
    "usage_sums": ("kind", "span", "at", "name"),
    "latency_counts": ("span", "at", "provider", "measure", "bucket"),
}


def upgrade() -> None:
    if op.get_bind().dialect.name != "sqlite":
        return
    for name, key in _KEYS.items():
        before = sa.Table(name, sa.MetaData(), autoload_with=op.get_bind())
        op.rename_table(name, f"{name}_before")
        columns = [sa.Column(one.name, one.type, nullable=False) for one in before.columns]
        op.create_table(name, *columns, sa.PrimaryKeyConstraint(*key), sqlite_with_rowid=False)
        op.execute(f"INSERT INTO {name} SELECT * FROM {name}_before")  # noqa: S608  (our own words)
        op.drop_table(f"{name}_before")

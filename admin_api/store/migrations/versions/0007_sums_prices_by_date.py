"""Prices from a date on; sums by hour, day and all time for each of what views ask; an index for each filter of a list."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_PRICES = ("input", "output", "cache_read", "cache_write", "reasoning")
_KEPT = (
    "requests", "errors", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens",
    "cost_nano_usd", "unpriced", "cached", "saved_input_tokens", "saved_output_tokens", "saved_nano_usd",
)  # fmt: skip
_SUMS = (*_KEPT[:2], "estimated", *_KEPT[2:])
_DAY = "hour_at / 86400 * 86400"
_FROM_ROLLUPS = (
    ("all", "h", "hour_at", "SUBSTR(provider, 1, 0)"),
    ("provider", "h", "hour_at", "provider"),
    ("model", "h", "hour_at", "provider || '/' || model"),
    ("connection", "h", "hour_at", "connection_id"),
    ("key", "d", _DAY, "key_id"),
    ("key", "e", "hour_at * 0", "key_id"),
)
_FILTERS = (("key", "key_id"), ("provider", "provider"), ("connection", "connection_id"), ("model", "model"))
_HAS_COMBO = sa.text("combo <> ''")
_HAS_FAILED = sa.text("status >= 400 OR error <> ''")


def upgrade() -> None:
    _date_prices()
    _keep_json_as_text()
    _add_indexes()
    _add_sums()


def _date_prices() -> None:
    op.rename_table("prices", "prices_before")
    op.create_table(
        "prices",
        sa.Column("id", sa.String(440), nullable=False),
        sa.Column("model", sa.String(400), nullable=False),
        sa.Column("valid_from", sa.Double(), nullable=False),
        *(sa.Column(name, sa.Double()) for name in _PRICES),
        sa.Column("managed", sa.Boolean(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="prices_id"),
        sa.UniqueConstraint("model", "valid_from", name="prices_natural"),
    )
    columns = ", ".join(_PRICES)
    op.execute(
        f"INSERT INTO prices (id, model, valid_from, {columns}, managed, updated_at, version) "  # noqa: S608  (our own words)
        f"SELECT model, model, 0, {columns}, managed, 0, 1 FROM prices_before"
    )
    op.drop_table("prices_before")


def _keep_json_as_text() -> None:
    if op.get_bind().dialect.name == "postgresql":  # the other keeps text whatever the column is called
        op.execute("ALTER TABLE request_records ALTER attempts TYPE TEXT, ALTER routing TYPE TEXT")
        return
    with op.batch_alter_table("request_records") as table:
        table.alter_column("attempts", type_=sa.Text(), existing_nullable=False)
        table.alter_column("routing", type_=sa.Text(), existing_nullable=True)


def _add_indexes() -> None:
    for name, column in _FILTERS:
        op.create_index(f"ix_request_records_{name}", "request_records", [column, "at"])
    op.create_index(
        "ix_request_records_combo",
        "request_records",
        ["combo", "at"],
        sqlite_where=_HAS_COMBO,
        postgresql_where=_HAS_COMBO,
    )
    op.create_index(
        "ix_request_records_failed", "request_records", ["at"], sqlite_where=_HAS_FAILED, postgresql_where=_HAS_FAILED
    )


def _add_sums() -> None:
    op.create_table(
        "usage_sums",
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("span", sa.String(1), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(700), nullable=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in _SUMS),
        sa.PrimaryKeyConstraint("kind", "span", "at", "name"),
    )
    op.create_table(
        "latency_counts",
        sa.Column("span", sa.String(1), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("provider", sa.String(200), nullable=False),
        sa.Column("measure", sa.String(20), nullable=False),
        sa.Column("bucket", sa.Integer(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("span", "at", "provider", "measure", "bucket"),
    )
    op.create_table(
        "usage_tops",
        sa.Column("days", sa.Integer(), nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(700), nullable=False),
        sa.Column("sums", sa.Text(), nullable=False),
        sa.Column("as_of", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("days", "rank"),
    )
    into = f"INSERT INTO usage_sums (kind, span, at, name, estimated, {', '.join(_KEPT)})"
    sums = ", ".join(f"SUM({name})" for name in _KEPT)
    for kind, span, at, name in _FROM_ROLLUPS:
        chosen = f"'{kind}', '{span}', {at}, {name}, 0, {sums}"
        op.execute(f"{into} SELECT {chosen} FROM usage_rollups GROUP BY {at}, {name}")  # noqa: S608  (our own words)
    whole = "FLOOR(at)" if op.get_bind().dialect.name == "postgresql" else "at"
    hour = f"CAST({whole} AS BIGINT) / 3600 * 3600"
    op.execute(
        f"{into} SELECT 'combo', 'h', {hour}, combo, SUM(CASE WHEN is_estimated THEN 1 ELSE 0 END), "  # noqa: S608
        "COUNT(*), SUM(CASE WHEN status >= 400 OR error <> '' THEN 1 ELSE 0 END), SUM(input_tokens), SUM(output_tokens), "
        "SUM(cache_read_tokens), SUM(cache_write_tokens), SUM(reasoning_tokens), SUM(COALESCE(cost_nano_usd, 0)), "
        "SUM(CASE WHEN cost_nano_usd IS NULL THEN 1 ELSE 0 END), SUM(CASE WHEN cache <> '' THEN 1 ELSE 0 END), "
        "SUM(saved_input_tokens), SUM(saved_output_tokens), SUM(saved_nano_usd) "
        f"FROM request_records WHERE combo <> '' GROUP BY {hour}, combo"
    )
    op.drop_table("usage_rollups")

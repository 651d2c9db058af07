"""Give configuration objects versions; models that operators add; what connections' last tests found."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_VERSIONED = ("settings", "provider_nodes", "provider_connections", "combos", "aliases", "fallback_chains")


def upgrade() -> None:
    for table in _VERSIONED:
        op.add_column(table, sa.Column("version", sa.BigInteger(), nullable=False, server_default="1"))
    op.create_table(
        "custom_models",
        sa.Column("id", sa.String(600), primary_key=True),
        sa.Column("provider", sa.String(100), nullable=False, index=True),
        sa.Column("model", sa.String(400), nullable=False),
        sa.Column("name", sa.String(400), nullable=False),
        sa.Column("source", sa.String(40), nullable=False),
        sa.Column("context", sa.BigInteger(), nullable=False),
        sa.Column("max_output", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False, server_default="1"),
    )
    op.create_table(
        "connection_tests",
        sa.Column("connection_id", sa.String(100), primary_key=True),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("is_valid", sa.Boolean(), nullable=False),
        sa.Column("type", sa.String(40), nullable=False),
        sa.Column("source", sa.String(20), nullable=False),
        sa.Column("code", sa.String(40), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("latency_ms", sa.Double(), nullable=False),
    )

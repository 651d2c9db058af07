"""Keep what answers from the cache saved, and which keys do without them."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_SAVED = ("saved_input_tokens", "saved_output_tokens", "saved_nano_usd")


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("cache", sa.String(10), nullable=False, server_default=""))
    op.add_column("request_records", sa.Column("cache", sa.String(20), nullable=False, server_default=""))
    for name in _SAVED:
        op.add_column("request_records", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
    for name in ("cached", *_SAVED):
        op.add_column("usage_rollups", sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))

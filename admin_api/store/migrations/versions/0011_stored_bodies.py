"""What single requests asked and were answered, of keys and machines where that is stored."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("store_bodies", sa.String(10), nullable=False, server_default=""))
    op.create_table(
        "request_bodies",
        sa.Column("id", sa.String(length=100), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.Column("asked", sa.Text(), nullable=False),
        sa.Column("asked_bytes", sa.BigInteger(), nullable=False),
        sa.Column("answered", sa.Text(), nullable=False),
        sa.Column("answered_bytes", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_request_bodies_at", "request_bodies", ["at"])

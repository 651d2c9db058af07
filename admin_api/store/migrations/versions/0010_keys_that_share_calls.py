"""Keys may share upstream calls with equal requests, or not."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("single_flight", sa.String(10), nullable=False, server_default=""))

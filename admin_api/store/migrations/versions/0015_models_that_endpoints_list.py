"""The last test of a connection keeps which models its endpoint listed."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("connection_tests", sa.Column("models", sa.JSON, nullable=False, server_default="[]"))

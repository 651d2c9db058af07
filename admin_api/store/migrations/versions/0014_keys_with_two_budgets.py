"""A key may have two budgets, of different periods."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("second_budget_nano_usd", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("api_keys", sa.Column("second_budget_period", sa.String(20), nullable=False, server_default=""))
    op.add_column("api_keys", sa.Column("second_warn_share", sa.Double, nullable=False, server_default="0.8"))

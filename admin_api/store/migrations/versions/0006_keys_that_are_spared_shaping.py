"""Keys may be spared steps of request shaping."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("unshaped", sa.JSON(), nullable=False, server_default="[]"))

"""Which requests went through a proxy, and whose credential was refused; the proxy of a test."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("request_records", sa.Column("noted", sa.Integer(), nullable=False, server_default="0"))
    for name, where in (("noted", "noted > 0"), ("refused", "noted >= 2")):
        op.create_index(
            f"ix_request_records_{name}",
            "request_records",
            ["at"],
            sqlite_where=sa.text(where),
            postgresql_where=sa.text(where),
        )
    op.add_column("connection_tests", sa.Column("proxy", sa.String(2100), nullable=False, server_default=""))
    op.add_column("connection_tests", sa.Column("proxy_level", sa.String(20), nullable=False, server_default=""))

"""Where keys may go and come from, and their secret before; users beside the one password; sessions and tokens of somebody."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("allowed_providers", "allowed_endpoints", "allowed_ips"):
        op.add_column("api_keys", sa.Column(name, sa.JSON(), nullable=False, server_default="[]"))
    op.add_column("api_keys", sa.Column("warn_share", sa.Double(), nullable=False, server_default="0.8"))
    op.add_column("api_keys", sa.Column("counted_as", sa.String(64), nullable=False, server_default=""))
    op.add_column("api_keys", sa.Column("old_digest", sa.String(64), nullable=False, server_default=""))
    op.add_column("api_keys", sa.Column("old_until", sa.Double(), nullable=False, server_default="0"))
    op.create_index("ix_api_keys_created", "api_keys", ["created_at", "id"])
    op.create_table(
        "users",
        sa.Column("id", sa.String(100), primary_key=True),
        sa.Column("name", sa.String(100), nullable=False, unique=True),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("last_login_at", sa.Double(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("updated_at", sa.Double(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False, server_default="1"),
    )
    op.execute(
        "INSERT INTO users (id, name, role, password_hash, is_active, last_login_at, created_at, updated_at, version) "
        "SELECT 'admin', 'admin', 'owner', hash, 1 = 1, 0, updated_at, updated_at, 1 FROM admin_password"
    )
    op.drop_table("admin_password")
    op.drop_table("sessions")  # who is logged in logs in once more
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.String(64), primary_key=True),
        sa.Column("user_id", sa.String(100), nullable=False, index=True),
        sa.Column("address", sa.String(100), nullable=False),
        sa.Column("agent", sa.String(200), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("seen_at", sa.Double(), nullable=False),
        sa.Column("expires_at", sa.Double(), nullable=False),
    )
    op.add_column("admin_tokens", sa.Column("scopes", sa.JSON(), nullable=False, server_default="[]"))
    for name in ("expires_at", "last_used_at"):
        op.add_column("admin_tokens", sa.Column(name, sa.Double(), nullable=False, server_default="0"))
    op.add_column("admin_tokens", sa.Column("created_by", sa.String(200), nullable=False, server_default=""))

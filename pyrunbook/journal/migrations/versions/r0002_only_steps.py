"""Which steps a run was asked for, where that was not all of them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the column; the runs until now are taken for whole ones."""
    op.add_column("runs", sa.Column("only_steps", sa.JSON(none_as_null=True)))

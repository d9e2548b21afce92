"""Of which project a run is: what brings it to an end has the same runbooks and roles."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column; nobody knows the projects of the runs until now."""
    op.add_column("runs", sa.Column("project", sa.Text))

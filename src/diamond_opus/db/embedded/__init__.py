"""A PostgreSQL of our own: set up in a home folder, started, found again, stopped; no root, no Docker."""

from diamond_opus.db.embedded.account import EmbeddedPostgresError
from diamond_opus.db.embedded.server import EmbeddedPostgres

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError"]

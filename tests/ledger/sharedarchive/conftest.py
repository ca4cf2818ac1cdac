"""A real PostgreSQL, whose finished runs are archived."""

from tests.postgres_server import postgres, shared_url, shared_urls

__all__ = ["postgres", "shared_url", "shared_urls"]

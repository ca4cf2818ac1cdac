"""A real PostgreSQL, for the stores that share one."""

from tests.postgres_server import postgres, shared_url, shared_urls

__all__ = ["postgres", "shared_url", "shared_urls"]

"""A store on a PostgreSQL server, shared by many machines. Needs the extra ``postgres``.

Raises:
    StoreNeedsExtra: psycopg is not installed; raised by the import of this package.
"""

from importlib.util import find_spec

from ledger.shared_errors import StoreNeedsExtra

if find_spec("psycopg") is None:
    raise StoreNeedsExtra

from ledger.store.postgres.reader import Home, SharedReader, SharedRun
from ledger.store.postgres.store import PostgresStore
from ledger.store.postgres.tail import SharedEvent, TailBatch, TailCursor

__all__ = ["Home", "PostgresStore", "SharedEvent", "SharedReader", "SharedRun", "TailBatch", "TailCursor"]

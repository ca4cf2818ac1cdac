"""The page: a ledger in the browser of the machine that it lies on. It reads, and writes nothing."""

"""Questions in SQL: the log as typed columns, and views and macros over them."""

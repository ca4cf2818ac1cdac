"""Reports: a run as one file for a browser, which needs no server and asks no other host for anything."""

"""Secrets: looked for in what is about to be written, and kept out of it.

`prefilter` decides in pure `re`, over bytes, which lines are worth a second look; only where there is
one, `detectors` loads the library that knows what tokens look like. `patchtext` says where in a patch a
find lies, `masking` takes finds out of texts.
"""

"""The drop-in for ``git apply``: its arguments, configuration, messages, files and index around the engine.

``command`` is the way through it; the other modules are what it passes on the way.
"""

"""Adapters to machine-learning libraries; each is imported only by the module that wraps it."""

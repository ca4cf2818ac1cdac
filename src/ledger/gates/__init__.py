"""Gates: how a tree is measured, and what the facts mean under a policy."""

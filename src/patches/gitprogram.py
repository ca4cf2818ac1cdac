"""The ``git`` program, run for a repository that we name ourselves."""

from __future__ import annotations

import os

_LOCAL = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_CONFIG",
        "GIT_CONFIG_COUNT",
        "GIT_CONFIG_PARAMETERS",
        "GIT_DIR",
        "GIT_GRAFT_FILE",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_INTERNAL_SUPER_PREFIX",
        "GIT_NAMESPACE",
        "GIT_NO_REPLACE_OBJECTS",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_QUARANTINE_PATH",
        "GIT_REPLACE_REF_BASE",
        "GIT_SHALLOW_FILE",
        "GIT_WORK_TREE",
    }
)


def git_environment(**own: str) -> dict[str, str]:
    """Return the environment for a git process: the user's, less what belongs to one repository, and ``own``.

    A hook, or an outer git command, has set variables that name its own repository, index or
    objects. Where the user's configuration lies, and what filters and helpers read, stays.

    See: ``git rev-parse --local-env-vars``.
    """
    return {name: value for name, value in os.environ.items() if name not in _LOCAL} | own

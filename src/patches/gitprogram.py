"""The ``git`` program, run for a repository that we name ourselves."""

from __future__ import annotations

import os

_LOCAL = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_ATTR_SOURCE",
        "GIT_COMMON_DIR",
        "GIT_CONFIG",
        "GIT_CONFIG_COUNT",
        "GIT_CONFIG_PARAMETERS",
        "GIT_DIR",
        "GIT_DIFF_OPTS",
        "GIT_GLOB_PATHSPECS",
        "GIT_GRAFT_FILE",
        "GIT_ICASE_PATHSPECS",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_INTERNAL_SUPER_PREFIX",
        "GIT_LITERAL_PATHSPECS",
        "GIT_NAMESPACE",
        "GIT_NOGLOB_PATHSPECS",
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
    """Return the environment for a git process: the user's, less what an outer git command set, and ``own``.

    A hook finds variables that name its own repository, index or objects, and that say how an
    outer command was to read its paths and attributes. Where the user's configuration lies, and
    what filters and helpers read, stays.

    See: ``git rev-parse --local-env-vars``; "ENVIRONMENT VARIABLES" of ``git(1)``.
    """
    return {name: value for name, value in os.environ.items() if name not in _LOCAL} | own

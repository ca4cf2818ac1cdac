"""The coverage-guided campaign: any bytes, read and applied with any options.

    python tests/patches/fuzz_patches.py CORPUS [options of libFuzzer]

What breaks the target is kept as a file; `patch_target.Target.check` shows it again without the fuzzer.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris
from atheris.import_hook import instrument_imports

sys.path.insert(0, str(Path(__file__).parent))
with instrument_imports(include=["patches"]):
    from patch_target import Target

WORDS = """diff --git a/|--- a/|+++ b/|--- /dev/null\\x0a|@@ -1,3 +1,4 @@\\x0a|@@ -0,0 +1 @@\\x0a|new file mode 100644\\x0a
deleted file mode 100644\\x0a|rename from |rename to |copy from |copy to |old mode 100644\\x0a|new mode 120000\\x0a
similarity index 100%\\x0a|index 0000000..1111111 100644\\x0a|GIT binary patch\\x0a|literal 5\\x0a|delta 5\\x0a
\\\\ No newline at end of file\\x0a|From: |Subject: |; format=flowed|; delsp=yes|=?utf-8?q?|../|.git/|.GIT|git~1|\\x0d\\x0a|\\x22|\\\\056|link/|sub/"""


def main() -> None:
    """Let the fuzzer look for what breaks."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    target = Target(folder)
    corpus = Path(sys.argv[1])
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(target.seeds()):
        (corpus / f"seed-{number}").write_bytes(seed)
    words = WORDS.replace("\n", "|").split("|")
    (folder / "words").write_text("".join(f'"{word}"\n' for word in words))
    atheris.Setup([*sys.argv, f"-dict={folder / 'words'}"], target.check)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

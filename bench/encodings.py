"""Finding the encoding of texts: `ingestion` beside charset-normalizer alone and chardet.

    python bench/encodings.py [--wrong]

The texts are those of ``tests/ingestion/texts.toml``. Right is an answer that gives the text back, whatever
it is called. Prints how many each of the three gets right, by half, length and encoding, how sure ours was
where it was wrong (``--wrong`` lists those), what a text takes, and what ten megabytes of UTF-8 and of
Windows-1252 take.

Exits 1 where ours is right less often than either over a half or a length of it, or wrong without having
called it a guess, or where it takes longer than charset-normalizer for ten megabytes.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path

import chardet
import charset_normalizer

from ingestion import Detection, IngestionError, detect

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "ingestion"))

from texts import HALVES, LENGTHS, Case, read_cases  # noqa: E402

OURS = "ours"
REPEATS = 3
LARGE_SIZE_BYTES = 10_000_000
LINE = "Zum Frühstück gab es Brötchen, Käse und einen großen Becher heißen Kakao.\n"


def ask_ours(data: bytes) -> str | None:
    found = ask_ours_whole(data)
    return None if found is None else found.encoding


def ask_ours_whole(data: bytes) -> Detection | None:
    try:
        return detect(data)
    except IngestionError:
        return None


def ask_charset_normalizer(data: bytes) -> str | None:
    match = charset_normalizer.from_bytes(data).best()
    return None if match is None else match.encoding


def ask_chardet(data: bytes) -> str | None:
    return chardet.detect(data)["encoding"]


CONTENDERS: dict[str, Callable[[bytes], str | None]] = {
    OURS: ask_ours,
    "charset-normalizer": ask_charset_normalizer,
    "chardet": ask_chardet,
}


def print_rows(
    title: str, groups: Iterable[str], total: Counter[str], right: dict[str, Counter[str]]
) -> None:
    print(f"\n| {title} | texts | {' | '.join(CONTENDERS)} |")
    print(f"|---|{'---|' * (len(CONTENDERS) + 1)}")
    for group in groups:
        cells = [f"{right[name][group]} ({right[name][group] / total[group]:.0%})" for name in CONTENDERS]
        print(f"| {group} | {total[group]} | {' | '.join(cells)} |")


def compare(cases: list[Case]) -> bool:
    """Print the tables and return whether ours is ahead."""
    total: Counter[str] = Counter()
    right: dict[str, Counter[str]] = defaultdict(Counter)
    seconds: dict[str, float] = defaultdict(float)
    for case in cases:
        groups = ("all", case.half, f"{case.half}, {case.length}", case.encoding)
        total.update(groups)
        for name, ask in CONTENDERS.items():
            started = time.process_time()
            answer = ask(case.data)
            seconds[name] += time.process_time() - started
            if case.is_right(answer):
                right[name].update(groups)
    totals = ["all", *HALVES, *(f"{half}, {length}" for half in HALVES for length in LENGTHS)]
    print_rows("half, length", totals, total, right)
    print_rows("encoding", sorted({case.encoding for case in cases}), total, right)
    took = ", ".join(f"{name} {seconds[name] / len(cases) * 1e3:.2f} ms" for name in CONTENDERS)
    print(f"\na text takes, on average: {took}")
    rivals = [name for name in CONTENDERS if name != OURS]
    return all(right[OURS][group] >= right[name][group] for group in totals for name in rivals)


def print_wrong(cases: list[Case], *, each: bool) -> bool:
    """Print where ours is wrong and return whether it was always called a guess."""
    answers = [(case, ask_ours_whole(case.data)) for case in cases]
    wrong = [(case, found) for case, found in answers if found and not case.is_right(found.encoding)]
    silent = [case for case, found in wrong if not found.guessed]
    unsure = sum(found.confidence < 0.9 for _, found in wrong)
    refused = sum(found is None for _, found in answers)
    print(f"\nours: {len(wrong)} wrong, {unsure} of them with a confidence below 90 %, ", end="")
    print(f"{len(silent)} not called a guess; {refused} refused")
    for case, found in wrong if each else ():
        read = case.data.decode(found.encoding)
        print(f"  {case.half} {case.encoding} {case.text[:30]!r}: ", end="")
        print(f"{found.encoding} {read[:30]!r} {found.confidence:.2f}")
    return not silent


def compare_large() -> bool:
    """Print what ten megabytes take and return whether ours is not slower than charset-normalizer."""
    fast = True
    print()
    for encoding in ("utf-8", "cp1252"):
        data = (LINE * (LARGE_SIZE_BYTES // len(LINE))).encode(encoding)
        took = {name: min(_seconds(ask, data) for _ in range(REPEATS)) for name, ask in CONTENDERS.items()}
        print(f"10 MB {encoding}: " + ", ".join(f"{name} {took[name] * 1e3:.0f} ms" for name in took))
        fast &= took[OURS] <= took["charset-normalizer"]
    return fast


def _seconds(ask: Callable[[bytes], str | None], data: bytes) -> float:
    started = time.process_time()
    ask(data)
    return time.process_time() - started


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--wrong", action="store_true", help="list the texts that ours gets wrong")
    options = parser.parse_args()
    cases = read_cases()
    print(f"{len(cases)} texts in {len({case.encoding for case in cases})} encodings; ", end="")
    print(f"charset-normalizer {charset_normalizer.__version__}, chardet {chardet.__version__}")
    ahead, honest, fast = compare(cases), print_wrong(cases, each=options.wrong), compare_large()
    return int(not (ahead and honest and fast))


if __name__ == "__main__":
    sys.exit(main())

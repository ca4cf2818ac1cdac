"""Finding the encoding of texts: `ingestion` beside charset-normalizer alone and chardet.

    python bench/text_encodings.py [--wrong] [--catalogues FOLDER]

The texts are those of ``tests/ingestion/texts.toml``. Right is an answer that gives the text back, whatever
it is called. Prints how many each of the three gets right, by half, length and encoding, how sure ours was
where it was wrong (``--wrong`` lists those), what a text takes, and what ten megabytes of UTF-8 and of
Windows-1252 take. With ``--catalogues`` the same is shown for texts that nobody wrote for this: messages of
the programs that are installed here, from a folder of gettext's catalogues such as ``/usr/share/locale``.

Exits 1 where ours is right less often than either over a half or a length of it, or wrong without having
called it a guess, or where it takes longer than charset-normalizer for ten megabytes.
"""

from __future__ import annotations

import argparse
import gettext
import random
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

from texts import LENGTHS, Case, read_cases  # noqa: E402

OURS = "ours"
WESTERN, CENTRAL = ("cp1252", "cp850", "mac_roman"), ("cp1250", "iso8859_2", "cp852")
CYRILLIC = ("cp1251", "koi8_r", "cp866", "iso8859_5")
CATALOGUES = {
    **dict.fromkeys(("fr", "de", "es", "pt_BR", "sv", "da", "it", "nl", "ca"), WESTERN),
    **dict.fromkeys(("pl", "cs", "hu", "sk", "sl"), CENTRAL),
    "fi": ("cp1252", "cp437"),
    "ro": ("cp1250", "iso8859_16"),
    "tr": ("cp1254", "cp857"),
    **dict.fromkeys(("lt", "lv", "et"), ("cp1257",)),
    "ru": CYRILLIC,
    "uk": ("cp1251", "koi8_u"),
    "bg": ("cp1251", "iso8859_5"),
    "sr": ("cp1251", "iso8859_5"),
    "el": ("cp1253", "iso8859_7"),
    "he": ("cp1255",),
    "ar": ("cp1256",),
    "fa": ("cp1256",),
    "th": ("cp874",),
    "ja": ("shift_jis", "euc_jp"),
    "zh_CN": ("gb18030",),
    "zh_TW": ("big5",),
    "ko": ("euc_kr",),
    "vi": ("cp1258",),
    "eo": ("iso8859_3",),
}
MESSAGES = 40
WORD_SIZE, LINE_SIZE = 25, 100  # in characters
REPEATS = 3
SEED = 3
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


def read_catalogues(folder: Path) -> list[Case]:
    """Return some messages of each language that ``folder`` has, and pages of them, always the same ones."""
    cases: list[Case] = []
    for language, encodings in CATALOGUES.items():
        messages: set[str] = set()
        for path in folder.glob(f"{language}/LC_MESSAGES/*.mo"):
            messages.update(_read_messages(path))
        shuffled = sorted(messages)
        random.Random(SEED).shuffle(shuffled)  # noqa: S311 - a sample that is always the same
        for encoding in encodings:
            held = [text for text in shuffled if _holds(encoding, text)][: MESSAGES * 2]
            texts = [
                *held[:MESSAGES],
                *("\n".join(held[start : start + 12]) for start in range(MESSAGES, len(held), 12)),
            ]
            cases += (Case("installed", language, encoding, _length(text), text) for text in texts)
    return cases


def _read_messages(path: Path) -> set[str]:
    try:
        with path.open("rb") as file:
            catalogue = gettext.GNUTranslations(file)
    except (OSError, ValueError) as error:  # a dangling link, or a header that Python does not understand
        print(f"left out: {path}: {error}", file=sys.stderr)
        return set()
    known: dict[object, object] = vars(catalogue)["_catalog"]
    return {text for text in known.values() if isinstance(text, str) and text and not text.isascii()}


def _holds(encoding: str, text: str) -> bool:
    try:
        return text.encode(encoding).decode(encoding) == text
    except UnicodeError:
        return False


def _length(text: str) -> str:
    return "word" if len(text) <= WORD_SIZE else "line" if len(text) <= LINE_SIZE else "page"


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
    halves = dict.fromkeys(case.half for case in cases)
    totals = ["all", *halves, *(f"{half}, {length}" for half in halves for length in LENGTHS)]
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
    parser.add_argument("--catalogues", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    cases = read_cases() if options.catalogues is None else read_catalogues(options.catalogues)
    print(f"{len(cases)} texts in {len({case.encoding for case in cases})} encodings; ", end="")
    print(f"charset-normalizer {charset_normalizer.__version__}, chardet {chardet.__version__}")
    ahead, honest, fast = compare(cases), print_wrong(cases, each=options.wrong), compare_large()
    return int(not (ahead and honest and fast))


if __name__ == "__main__":
    sys.exit(main())

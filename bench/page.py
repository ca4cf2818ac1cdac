"""What looking at a long run costs: the data, the first look, and a step of the slider in a real browser.

    .venv/bin/python bench/page.py [EVENTS]

The ledger is a synthetic one of `million.py` (runs of 10 000 events, which Git has no objects of: so no
patch texts); its first run is written as a report and opened in the system's Chromium.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path

from million import make_ledger
from playwright.sync_api import sync_playwright

from ledger import Ledger

STEPS = """() => {
  const last = report.run.data.events.length, times = [];
  for (let step = 0; step < 60; step++) {
    const began = performance.now();
    report.go((step * 997) % last);
    document.body.offsetHeight;  // the layout counts too
    times.push(performance.now() - began);
  }
  return [last, ...times.sort((a, b) => a - b).filter((_, at) => at === 30 || at === 59)];
}"""


def main() -> None:
    """Print the figures."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch, "run.html")
        with Ledger.open(make_ledger(Path(scratch), events)) as ledger:
            run = ledger.runs()[-1].run
            began = time.perf_counter()
            written = ledger.write_report(target, f"{run}:@")
            took_s = time.perf_counter() - began
            print(f"report of {written.event}: {took_s:.1f} s, {written.size_bytes:,} bytes")
        with sync_playwright() as driver:
            found = shutil.which("chromium")
            browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            began = time.perf_counter()
            page.goto(target.as_uri())
            page.locator("#page").wait_for()
            print(f"first look: {time.perf_counter() - began:.1f} s")
            last, median, worst = page.evaluate(STEPS)
            print(f"a step among {last:,} events: median {median:.0f} ms, worst {worst:.0f} ms")
            browser.close()


if __name__ == "__main__":
    main()

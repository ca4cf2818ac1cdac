"""The command `run-step`: another command, run for a step, its error recorded."""

from __future__ import annotations

import sys

import click

from ledger.cli.session import open_ledger, preview_option, readable, say


@click.command("run-step")
@click.option("--context", default="", help="What is being done; by default the command.")
@click.option(
    "--timeout", type=click.FloatRange(0, min_open=True), metavar="S", help="End it after S seconds."
)
@click.argument("step")
@click.argument("command", nargs=-1, type=click.UNPROCESSED, required=True)
@preview_option
def run_step(step: str, command: tuple[str, ...], context: str, timeout: float | None) -> None:
    """Run COMMAND for STEP, as in 3:build, and record the error that it ends with.

    Its streams are passed on, and its exit code is this one's: 124 where its time was up, 126 or 127 where
    it cannot be run, 128 and the signal's number where a signal ended it. An error is a question, open until
    it is answered; the same command of the same step answers it by succeeding.

    \b
    ledger run-step 3:build -- make build
    ledger run-step 3:build --timeout 600 --context "after the port" -- make -j4
    """  # noqa: D301 - click reads the backspace
    from ledger.events import ErrorCaptured
    from ledger.requests import AlreadyDone

    try:
        stepped = open_ledger().run_step(
            readable(step), command, _pass_on, context=readable(context), timeout_s=timeout
        )
    except AlreadyDone as done:
        if isinstance(done.event, ErrorCaptured) and isinstance(done.event.exit_code, int):
            say(f"done before: {done.event.reference}; the command was not run again")
            click.get_current_context().exit(done.event.exit_code)
        raise
    for answered in stepped.answered:
        say(f"answers {answered.run}:{answered.error_v}")
    if stepped.captured is not None:
        joined = stepped.captured.same_as is not None
        say(f"{'met before: it joins' if joined else 'asked as'} {stepped.captured.question}")
    click.get_current_context().exit(stepped.exit_code)


def _pass_on(stream: str, data: bytes) -> None:
    target = sys.stderr if stream == "stderr" else sys.stdout
    target.buffer.write(data)
    target.buffer.flush()

"""The command group `project`: what others read, brought up to the log when somebody asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ledger.cli.output import count_of
from ledger.cli.session import open_ledger, say

if TYPE_CHECKING:
    from ledger.operations.tracking import Tracked


@click.group()
def project() -> None:
    """Bring what others read up to the log."""


@project.command()
@click.option("--uri", default="", metavar="URI", help="The tracking server or store.")
@click.option("--experiment", default="", metavar="NAME", help="The experiment; by default `ledger`.")
@click.option("--run", "runs", multiple=True, metavar="RUN", help="A run; by default the current one.")
@click.option("--all", "all_", is_flag=True, help="Every run of this ledger.")
@click.option(
    "--system-metrics/--no-system-metrics",
    default=None,
    help="Sample CPU, memory, disk and network of the projection itself, in a run of its own.",
)
@click.option("--dry-run", is_flag=True, help="Only say what would be sent; asks the server, writes nothing.")
def mlflow(
    uri: str,
    experiment: str,
    runs: tuple[str, ...],
    all_: bool,
    system_metrics: bool | None,
    dry_run: bool,
) -> None:
    """Bring runs up to date in MLflow: one MLflow run for each, gates as metrics, patches as artifacts.

    Doing it again sends only what is new, from whichever clone. Where to: the option, else
    MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME, else `[tool.ledger.mlflow]`. Prints each run with its
    MLflow run.

    \b
    ledger project mlflow --uri http://127.0.0.1:5000
    ledger project mlflow --all --dry-run
    """  # noqa: D301 - click reads the backspace
    from codex_ml.tracking.mlflow_utils import MlflowConfig

    if all_ and runs:
        raise click.UsageError("--all and --run exclude each other")
    ledger = open_ledger()
    config = MlflowConfig(uri=uri, experiment=experiment, log_system_metrics=system_metrics)
    names = [head.run for head in reversed(ledger.runs())] if all_ else runs
    for tracked in ledger.project_mlflow(config, names, dry_run=dry_run):
        _report(tracked, dry_run=dry_run)


def _report(tracked: Tracked, *, dry_run: bool) -> None:
    points, files = count_of(tracked.points, "point"), count_of(tracked.files, "file")
    if tracked.from_v > tracked.until_v:
        say(f"{tracked.run}: MLflow is at :{tracked.from_v} already, this ledger at :{tracked.until_v}")
    elif not tracked.changed:
        say(f"{tracked.run}: nothing to do, MLflow is at :{tracked.until_v}")
    else:
        done = "would send" if dry_run else "sent"
        say(f"{tracked.run}: {done} :{tracked.from_v + 1} to :{tracked.until_v}, {points}, {files}")
    for reason in tracked.left_out:
        say(f"  left out: {reason}")
    if tracked.url:
        say(f"  {tracked.url}")
    click.echo(f"{tracked.run} {tracked.mlflow_run}".rstrip())


@project.command("questions")
@click.option("-o", "--output", default="", metavar="FILE", help="Write it there; - is standard output.")
@click.option("--open", "open_", is_flag=True, help="Only those without an answer; needs --output.")
@click.option("--force", is_flag=True, help="Write over a file that is not what was written last.")
def questions_(output: str, *, open_: bool, force: bool) -> None:
    """Write the questions file as the log says it is: every question of every run, in order.

    That happens by itself after every question, except where the file is part of the candidate: then it is
    written by this command alone, and recorded with `ledger record`. Its place is `[tool.ledger.questions]`.

    \b
    ledger project questions
    """  # noqa: D301 - click reads the backspace
    if open_ and not output:
        raise click.UsageError("--open needs --output: the questions file has all of them")
    ledger = open_ledger()
    if not output:
        name, written = ledger.write_questions(force=force)
        say(f"{name}: {'written' if written else 'nothing to do'}")
        return
    text = ledger.questions_text(only_open=open_)
    if output == "-":
        click.echo(text, nl=False)
        return
    target = Path(output)
    if target.exists() and not force and target.read_bytes() != text.encode():
        raise click.UsageError(f"{output} exists; --force writes over it")
    target.write_text(text, "utf-8", newline="")
    say(f"{output}: written")

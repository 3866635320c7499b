"""``repvit-sam``: segment photos, manage checkpoints, export them, start the page.

Results go to stdout, all else to stderr. The exit code is 1 for a failure, 2 for wrong arguments.
Heavy imports are inside the commands, so that ``--help`` answers at once.
"""

from __future__ import annotations

import typer

from ..memory import keep_freed_memory
from . import annotate, annotation_tools, cache, demo, everything, export, label, segment, weights

app = typer.Typer(
    help="Segment Anything that runs where people are.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(segment.segment)
app.command()(everything.everything)
app.command()(annotate.annotate)
app.command()(demo.demo)
app.command()(label.label)
app.command()(weights.info)
app.add_typer(annotation_tools.app, name="annotations")
app.add_typer(weights.app, name="weights")
app.add_typer(cache.app, name="cache")
app.add_typer(export.app, name="export")


def main() -> None:
    """The entry point of the installed command."""
    keep_freed_memory()
    app()

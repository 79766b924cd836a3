"""``medshard doctor``."""

from __future__ import annotations

import sys

import click

from medshard.cli.exit_codes import EXIT_CODES_HELP, FAILED
from medshard.cli.failures import print_json
from medshard.doctor import examine

__all__ = ["command"]


@click.command(epilog=EXIT_CODES_HELP)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> None:
    """Say what this installation can do, what is missing, and the line that installs it.

    \b
    Example:
      medshard doctor
    """
    findings = examine()
    if as_json:
        print_json([finding.as_dict() for finding in findings])
    else:
        for finding in findings:
            mark = "ok     " if finding.found else "missing" if finding.needed else "absent "
            click.echo(f"{mark} {finding.name:28} {finding.detail}")
            if not finding.found and finding.install:
                click.echo(f"        {finding.install}")
    sys.exit(FAILED if any(finding.needed and not finding.found for finding in findings) else 0)

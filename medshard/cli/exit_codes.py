"""Exit codes that scripts can rely on."""

from __future__ import annotations

__all__ = [
    "CLAIMS_FAILED",
    "DAMAGED",
    "EXIT_CODES_HELP",
    "FAILED",
    "INTERRUPTED",
    "OK",
    "PROBLEMS",
    "QUARANTINED",
    "USAGE",
]

OK = 0
FAILED = 1
USAGE = 2
PROBLEMS = 3
QUARANTINED = 4
CLAIMS_FAILED = 5
DAMAGED = 6
INTERRUPTED = 130
"""128 + SIGINT, as shells have it."""

EXIT_CODES_HELP = """\b
Exit codes:
  0    done
  1    could not be done; the message says why
  2    the command line is wrong
  3    a spec has problems, or the data contradict it; nothing was built
  4    built, and some files could not be read (see quarantine.parquet)
  5    a claim of a spec does not hold in the data (see report.html)
  6    a corpus is damaged
  130  interrupted; run the same command again to go on
"""

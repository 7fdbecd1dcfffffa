"""What the benchmarks of the five models share: the models as arguments, and figures of fresh processes."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from boxgrad.bench.models import CASES


def arguments(description: str) -> argparse.ArgumentParser:
    """A parser of models and of the file for the figures."""
    parser = argparse.ArgumentParser(description=description.split("\n", 1)[0])
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"of {', '.join(CASES)}; all if not given")
    parser.add_argument("--json", metavar="FILE", help="write all figures there")
    return parser


def parsed(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The command line; ``models`` are names of models, all of them if none was given."""
    options = parser.parse_args()
    options.models = options.models or list(CASES)
    unknown = [name for name in options.models if name not in CASES]
    if unknown:
        parser.error(f"there is no model {unknown[0]!r}; the models are {', '.join(CASES)}")
    return options


def in_a_process(script: str, given: Sequence[str], cache: str, complaint: str) -> Any:
    """What a script prints last, as JSON, in a fresh process that keeps its code in that folder."""
    ran = subprocess.run(
        [sys.executable, script, *given],
        env={**os.environ, "BOXGRAD_CACHE": cache},
        check=False,
        capture_output=True,
        text=True,
    )
    if ran.returncode:
        sys.exit(f"{complaint}:\n{ran.stderr}")
    return json.loads(ran.stdout.splitlines()[-1])

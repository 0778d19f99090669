"""How long the command line takes to answer, as a ratio to what it cannot do without.

Prints the ratio of `eyevsai --help` and `eyevsai list` to ``import typer, rich.table`` in the same
interpreter: runs take turns, so that whatever else the machine does falls on all of them alike;
medians are compared. Fails above 2, or when a framework was loaded.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

ALLOWED = 2.0
BASE = "import typer, rich.table"
START = "import sys; sys.argv[0] = 'eyevsai'; from eyevsai_core.cli.main import main; main()"
COMMANDS = {"eyevsai --help": ["--help"], "eyevsai list": ["list"]}
HEAVY = {"keras", "numpy", "onnxruntime", "sklearn", "tensorflow", "torch"}
LOADED = f"""
import atexit, json, sys
atexit.register(lambda: print(json.dumps(sorted(set(sys.modules) & {HEAVY!r})), file=sys.stderr))
{START}
"""


def run(code: str, words: list[str]) -> tuple[float, str]:
    """Run code in a fresh interpreter; return the seconds and what it said on stderr."""
    # Compiled files are what an installed program has; some machines forbid writing them.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        capture_output=True,
        check=True,
        text=True,
        env=environment,
    )
    return time.perf_counter() - began, done.stderr


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=21)
    runs = parser.parse_args().runs
    programs = {BASE: (BASE, []), **{name: (START, words) for name, words in COMMANDS.items()}}
    for code, words in programs.values():
        run(code, words)
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(runs):
        for name, (code, words) in programs.items():
            seconds[name].append(run(code, words)[0])
    base = statistics.median(seconds[BASE])
    print(f"{BASE:28} {base * 1000:5.0f} ms    median of {runs} runs that took turns")
    slow = False
    for name, words in COMMANDS.items():
        own = statistics.median(seconds[name])
        loaded = json.loads(run(LOADED, words)[1].splitlines()[-1])
        slow |= own > ALLOWED * base or bool(loaded)
        print(
            f"{name:28} {own * 1000:5.0f} ms    {own / base:.2f} x, frameworks: {loaded or 'none'}"
        )
    sys.exit(slow)


if __name__ == "__main__":
    main()

"""`make demo`: the example family built, released on this machine, and installed as a user would."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from flotilla.errors import FlotillaError
from flotilla.family import Family
from flotilla.jobs.job import read_config
from flotilla.rehearsal.rehearse import Plan, rehearse
from flotilla.rehearsal.show import Show

EXAMPLE = Path(__file__).parent / "chroma"


def main() -> int:
    """Run the demo; its exit status."""
    show = Show()
    with tempfile.TemporaryDirectory(prefix="flotilla-demo-") as folder:
        artifacts = Path(folder) / "artifacts"
        show.line("Building the example's binaries for every platform with zig")
        subprocess.run(
            [sys.executable, EXAMPLE / "build.py", "--out", artifacts], check=True, stdout=subprocess.DEVNULL
        )
        plan = Plan(
            root=EXAMPLE,
            config="flotilla.yml",
            family=Family(read_config(EXAMPLE, "flotilla.yml"), "2.1.0"),
            artifacts=artifacts,
            repository="acme/chroma",
            program=EXAMPLE / "use.py",
        )
        try:
            done = rehearse(plan, Path(folder) / "rehearsal", show)
        except FlotillaError as failure:
            show.line(f"{failure.title}: {failure}")
            return 1
    ran = "host program ran" if done.program_ran else "host program did not run"
    show.line(f"demo: {done.packages} packages released, {done.platforms} platforms installed, {ran}")
    return 0 if done.program_ran else os.EX_SOFTWARE


if __name__ == "__main__":
    sys.exit(main())

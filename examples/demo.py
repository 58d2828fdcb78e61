"""`make demo`: the example family built, released on this machine, and installed as a user would.

With --svg FILE, what it showed goes to that file, too.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from flotilla.errors import FlotillaError
from flotilla.family import Family
from flotilla.jobs.inputs import read_config
from flotilla.rehearsal.rehearse import Plan, rehearse
from flotilla.rehearsal.show import WIDTH, Show

EXAMPLE = Path(__file__).parent / "chroma"


def main() -> int:
    """Run the demo; its exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--svg", type=Path)
    svg = parser.parse_args().svg
    console = Console(highlight=False, width=WIDTH, record=svg is not None)
    status = demo(Show(console))
    if svg is not None:
        # The fonts are an address elsewhere; a page's own monospace does as well.
        drawn = re.sub(r"@font-face \{.*?\}", "", console.export_svg(title="make demo"), flags=re.DOTALL)
        svg.write_text(drawn, encoding="utf-8")
    return status


def demo(show: Show) -> int:
    """Build, release, install; the exit status."""
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

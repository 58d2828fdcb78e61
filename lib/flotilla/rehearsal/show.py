"""The rehearsal as it goes: a line for whatever ends and, on a terminal, a live table of what is left."""

from __future__ import annotations

import time
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table

from flotilla.family import Family
from flotilla.rehearsal.job_graph import JobRun
from flotilla.rehearsal.users import Installed
from flotilla.text import size

WIDTH = 110


class Show:
    """Prints each job and each installation when it ends; several threads may report.

    The live table is there while this is entered.

    Args:
        console: the output; it has a fixed width if it is not a terminal.
        stderr: print to standard error, where standard output is for something else.
    """

    def __init__(self, console: Console | None = None, *, stderr: bool = False) -> None:
        self._console = console or Console(highlight=False, width=WIDTH, stderr=stderr)
        self._lock = Lock()
        self._left: dict[str, float | None] = {}
        self._jobs = self._packages = 0
        self._runs: list[JobRun] = []
        self._installed: list[Installed] = []
        self._live = Live(get_renderable=self._table, console=self._console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self._live.stop()

    def line(self, text: str) -> None:
        """Print a plain line."""
        self._say(escape(text))

    def begin(self, family: Family, repository: str) -> None:
        """Print what is released."""
        self._say(
            f"[bold]{escape(family.config.family)} {family.version}[/]: {len(family.packages)} packages for "
            f"{len(family.config.platforms)} platforms, from {escape(repository)}",
            "[dim]on this machine: a simulated GitHub, the real npm, a real registry, and no account[/]",
            "",
        )
        platforms = [f"publish-platform {platform.name}" for platform in family.config.platforms]
        rest = [name for name, its in (("publish-dev", family.devs), ("publish-meta", family.metas)) if its]
        self._left = dict.fromkeys(["release", *platforms, *rest])
        self._jobs, self._packages = len(self._left), len(family.packages)

    def started(self, title: str) -> None:
        """Count the seconds of a job from now on."""
        with self._lock:
            self._left[title] = time.monotonic()

    def job(self, run: JobRun) -> None:
        """Print a job of the release."""
        with self._lock:
            self._left.pop(run.title, None)
            self._runs.append(run)
        mark = "[red]✗[/]" if run.status else "[green]✓[/]"
        self._say(f" {mark} [bold]{escape(run.title):<32}[/] {run.seconds:5.1f} s  {_outcome(run)}", *_packages(run))

    def users(self) -> None:
        """Print a heading: what follows is what users get."""
        self._say("", "[bold]what a user gets[/]")

    def installed(self, one: Installed) -> None:
        """Print one meta package on one machine."""
        with self._lock:
            self._installed.append(one)
        machine = " ".join(filter(None, (one.machine.os, one.machine.cpu, one.machine.libc)))
        brought = ", ".join(name for name in one.packages if name != one.meta) or one.meta
        asked = escape(" ".join((one.meta, *one.named)))
        kinds = ", ".join(dict.fromkeys(what for _, what in one.binaries))
        self._say(
            f" [green]✓[/] [bold]{machine:<18}[/] npm install {asked:<24} → {escape(brought)}",
            f"   {'':<18} [dim]{escape(_counted(one, kinds))}[/]",
        )

    def tried(self, program: Path, printed: str) -> None:
        """Print what the user's program printed on this machine."""
        lines = [f"   {escape(line)}" for line in printed.splitlines()]
        self._say("", f"[bold]{escape(program.name)}, on this machine[/]", *lines, "")

    def document(self) -> dict[str, Any]:
        """Return what was told, as data: each job with its packages, and each installation."""
        return {
            "jobs": [
                {"job": run.title, "status": run.status, "seconds": round(run.seconds, 1), "packages": run.packages}
                for run in self._runs
            ],
            "installed": [
                {
                    "platform": one.platform.name,
                    "machine": {"os": one.machine.os, "cpu": one.machine.cpu, "libc": one.machine.libc},
                    "asked": [one.meta, *one.named],
                    "packages": list(one.packages),
                    "binaries": [{"path": path, "kind": kind} for path, kind in one.binaries],
                }
                for one in self._installed
            ],
        }

    def _table(self) -> Table:
        """Return what runs and what waits, and how far the release is."""
        # Without the lock: the display asks for this while it holds its own, for which a line being printed waits.
        left, now = list(self._left.items()), time.monotonic()
        jobs, packages = len(self._runs), sum(len(run.packages) for run in [*self._runs])
        installed = len(self._installed)
        made = Table.grid(padding=(0, 1))
        for title, since in left:
            state = "[dim]waiting[/]" if since is None else f"{now - since:5.0f} s"
            made.add_row("…" if since is None else "▸", escape(title), state)
        counted = f"{jobs} of {self._jobs} jobs, {packages} of {self._packages} packages"
        installs = f", {installed} installations" if installed else ""
        if self._jobs:
            made.add_row("", ProgressBar(total=self._jobs, completed=jobs, width=32), f"{counted}{installs}")
        return made

    def _say(self, *lines: str) -> None:
        with self._lock:
            for line in lines:
                self._console.print(line, overflow="ignore", crop=False, soft_wrap=True)


def _counted(one: Installed, kinds: str) -> str:
    count = len(one.binaries)
    return f"{count} binar{'y' if count == 1 else 'ies'}: {kinds}" if count else "no ELF, Mach-O or PE file"


def _outcome(run: JobRun) -> str:
    if run.status:
        return "[red]stopped[/]"
    if run.title == "release":
        tag = run.outputs["tag"]
        return f"tag {escape(tag)}, {escape(run.outputs['release-url'])}" if tag else "no tag and no release"
    counted = len(run.packages)
    return f"{counted} package{'' if counted == 1 else 's'}"


def _packages(run: JobRun) -> list[str]:
    return [
        f"   [dim]{escape(one['name']):<40} {size(one['size']):>9}  {one['status']}  {one['integrity'][:25]}…[/]"
        for one in run.packages
    ]

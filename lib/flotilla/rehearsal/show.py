"""The rehearsal on a terminal, as it goes."""

from __future__ import annotations

from pathlib import Path
from threading import Lock

from rich.console import Console
from rich.markup import escape

from flotilla.family import Family
from flotilla.rehearsal.job_graph import JobRun
from flotilla.rehearsal.users import Installed
from flotilla.text import size

WIDTH = 110


class Show:
    """Prints each job and each installation when it ends; several threads may report.

    Args:
        console: the output; it has a fixed width if it is not a terminal.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, width=WIDTH)
        self._lock = Lock()

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

    def job(self, run: JobRun) -> None:
        """Print a job of the release."""
        mark = "[red]✗[/]" if run.status else "[green]✓[/]"
        self._say(f" {mark} [bold]{escape(run.title):<32}[/] {run.seconds:5.1f} s  {_outcome(run)}", *_packages(run))

    def users(self) -> None:
        """Print a heading: what follows is what users get."""
        self._say("", "[bold]what a user gets[/]")

    def installed(self, one: Installed) -> None:
        """Print one meta package on one machine."""
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

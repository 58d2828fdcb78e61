"""A job starts fast: what it does not need until its first request is not imported before."""

from __future__ import annotations

import subprocess
import sys

LATER = {"arpy", "elftools", "macholib", "pefile", "tabulate"}  # to read binaries, and to write a summary
NEVER = {"cryptography", "nacl", "jwt", "github.MainClass"}  # PyGithub's, of which only the requester is used
LOOK = """
import sys
import flotilla.__main__
from flotilla.github.api import requester_class
assert requester_class().__name__ == "Requester"
print(*sys.modules)
"""


def test_a_job_imports_at_its_start_only_what_its_first_request_needs() -> None:
    listed = subprocess.run([sys.executable, "-Ic", LOOK], check=True, capture_output=True, text=True).stdout
    assert {"requests", "flotilla.jobs.publish_packages"} <= set(listed.split())
    assert (LATER | NEVER | {"flotilla.commands", "flotilla.rehearsal"}) & set(listed.split()) == set()


def test_pygithub_as_a_whole_can_still_be_imported() -> None:
    """Others in the process may use it, as the tests of the rehearsal do."""
    look = "from flotilla.github.api import requester_class as r; r(); from github import Github, Requester as m"
    command = f"{look}; assert m.Requester is not r(); print(Github.__name__)"
    assert subprocess.run([sys.executable, "-Ic", command], check=True, capture_output=True).stdout == b"Github\n"

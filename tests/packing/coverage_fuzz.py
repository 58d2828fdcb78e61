"""Coverage-guided fuzzing of everything that reads a stranger's bytes; for where atheris is installed.

usage: coverage_fuzz.py [SECONDS]        `make fuzz` runs it if `import atheris` works (pip install atheris)
"""

from __future__ import annotations

import importlib
import io
import sys
import tarfile
import tempfile
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from flotilla.errors import ArchiveError, ConfigError
from flotilla.family import Limits, parse_config
from flotilla.packing import extract, identify, read_contents
from flotilla.packing.binaries import UnreadableError

LIMITS = Limits(extracted_bytes=1 << 20, files=100, ratio=200)
LONGEST = 1 << 16
INSTRUMENTED = ("flotilla.packing", "flotilla.family")


def read_everything(data: bytes) -> None:
    """Read it all: only our own errors, and nothing outside the folder."""
    with tempfile.TemporaryDirectory() as folder:
        archive, into = Path(folder, "input"), Path(folder, "into")
        archive.write_bytes(data)
        with suppress(ArchiveError):
            extract(archive, into, limits=LIMITS)
        assert {path.name for path in Path(folder).iterdir()} <= {"input", "into"}
        with suppress(ArchiveError):
            read_contents(archive, limits=LIMITS)
        with suppress(UnreadableError):
            identify(archive)
        with suppress(ConfigError):
            parse_config(data.decode("utf-8", "replace"))


def seeds() -> list[bytes]:
    """Return small real inputs to begin with: a tar, a zip, a shared library's first bytes."""
    tar, packed = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("package/a"), io.BytesIO())
    with zipfile.ZipFile(packed, "w") as zipped:
        zipped.writestr("a/b", "c")
    return [tar.getvalue(), packed.getvalue(), Path(sys.executable).read_bytes()[:LONGEST], b"schema: 1\nfamily: a\n"]


def main() -> None:
    """Fuzz for so many seconds."""
    atheris: Any = importlib.import_module("atheris")
    seconds = sys.argv[1] if len(sys.argv) > 1 else "60"
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds()):
            Path(corpus, str(number)).write_bytes(seed)
        arguments = [sys.argv[0], f"-max_total_time={seconds}", f"-max_len={LONGEST}", "-timeout=20", corpus]
        for name in [name for name in sys.modules if name.startswith(INSTRUMENTED)]:
            for value in list(vars(sys.modules[name]).values()):
                if callable(value) and getattr(value, "__module__", "") == name and hasattr(value, "__code__"):
                    atheris.instrument_func(value)
        atheris.Setup(arguments, read_everything)
        atheris.Fuzz()


if __name__ == "__main__":
    main()

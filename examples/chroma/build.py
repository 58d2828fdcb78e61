"""Builds chroma for every platform and variant, and packs it as the CI workflow uploads it.

    pip install ziglang
    python build.py --out dist                              # all of it
    python build.py --out dist --platform linuxmusl-x64     # what one CI job builds

Each artifact is a folder <out>/chroma-<build>-<variant>/ with the archive and its .sha256; the same sources and the
same compiler make the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path

HERE = Path(__file__).resolve().parent
TARGETS = {
    "darwin-arm64": "aarch64-macos.11.0",
    "darwin-x64": "x86_64-macos.11.0",
    "linux-arm64": "aarch64-linux-gnu.2.28",
    "linux-x64": "x86_64-linux-gnu.2.28",
    "linuxmusl-x64": "x86_64-linux-musl",
}
DEFINES = {"free": (), "non-free": ("-DCHROMA_NON_FREE",)}

# Without its own run-time libraries, which plain C on these processors never calls, zig is done in a second.
MODE = ("-O", "ReleaseFast", "-fPIC", "-fstrip", "-lc", "-fno-compiler-rt", "-fno-ubsan-rt")
CFLAGS = ("-std=c11", "-Wall", "-Wextra", "-Werror")


@dataclass(frozen=True, kw_only=True)
class Build:
    """One platform in one variant."""

    platform: str
    variant: str

    @property
    def name(self) -> str:
        """What CI calls the artifact, and the archive in it."""
        return f"chroma-{self.platform}-{self.variant}"

    @property
    def darwin(self) -> bool:
        """Whether macOS will load it."""
        return self.platform.startswith("darwin")


def main() -> None:
    """Build what the command line names."""
    parser = argparse.ArgumentParser(description="Builds and packs chroma for every platform and variant.")
    parser.add_argument("--out", type=Path, required=True, help="folder that the artifacts' folders are written into")
    parser.add_argument("--platform", choices=TARGETS, action="append", help="only this platform; may be repeated")
    options = parser.parse_args()
    builds = [Build(platform=one, variant=two) for one, two in product(options.platform or TARGETS, DEFINES)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for archive in pool.map(lambda build: write_artifact(build, options.out), builds):
            sys.stdout.write(f"{archive}\n")


def write_artifact(build: Build, out: Path) -> Path:
    """Return the artifact's archive, written with its checksum beside it."""
    with tempfile.TemporaryDirectory() as scratch:
        tree = Path(scratch, build.name)
        compile_into(tree, build)
        describe_into(tree, build)
        packed = pack(tree)
    archive = out / build.name / f"{build.name}.tar.gz"
    archive.parent.mkdir(parents=True, exist_ok=True)
    archive.write_bytes(packed)
    checksum = hashlib.sha256(packed).hexdigest()
    archive.with_name(f"{archive.name}.sha256").write_text(f"{checksum}  {archive.name}\n", encoding="ascii")
    return archive


def compile_into(tree: Path, build: Build) -> None:
    """lib/ and bin/ of one build."""
    target = ("-target", TARGETS[build.platform], *MODE)
    (tree / "lib").mkdir(parents=True)
    (tree / "bin").mkdir()
    with tempfile.TemporaryDirectory() as scratch:
        for source in ("chroma", "chroma-info"):
            flags = ("-cflags", *CFLAGS, *DEFINES[build.variant], "--")
            _zig(scratch, "build-obj", *target, f"-I{HERE / 'include'}", *flags, str(HERE / "src" / f"{source}.c"))
        archive_format = "darwin" if build.darwin else "gnu"
        _zig(scratch, "ar", "rcsD", f"--format={archive_format}", str(tree / "lib/libchroma.a"), "chroma.o")
        library = tree / "lib" / ("libchroma.dylib" if build.darwin else "libchroma.so")
        at = ("-install_name", f"@rpath/{library.name}") if build.darwin else ("-fsoname=libchroma.so",)
        _zig(scratch, "build-lib", "-dynamic", *target, *at, "chroma.o", f"-femit-bin={library}")
        program = tree / "bin/chroma-info"
        _zig(scratch, "build-exe", "-dynamic", *target, "chroma.o", "chroma-info.o", f"-femit-bin={program}")


def describe_into(tree: Path, build: Build) -> None:
    """Return what lies in every archive beside the binaries: the header, the licence, and which versions went in."""
    header = (HERE / "include/chroma.h").read_text(encoding="utf-8")
    version = re.search(r'#define CHROMA_VERSION "(.+)"', header)
    if version is None:
        raise SystemExit("include/chroma.h does not define CHROMA_VERSION")
    versions = {"chroma": version[1], "variant": build.variant, "target": TARGETS[build.platform]}
    versions["zig"] = _zig(".", "version").strip()
    (tree / "include").mkdir()
    (tree / "include/chroma.h").write_text(header, encoding="utf-8")
    (tree / "LICENSE").write_bytes((HERE / f"LICENSE.{build.variant}").read_bytes())
    (tree / "versions.json").write_text(json.dumps(versions, indent=2) + "\n", encoding="utf-8")


def pack(tree: Path) -> bytes:
    """Return the folder as a .tar.gz in which neither the time nor the place of the build shows."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", filename="", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for path in sorted(tree.rglob("*")):
            if path.is_file():
                entry = tarfile.TarInfo(path.relative_to(tree.parent).as_posix())
                entry.size, entry.mode = path.stat().st_size, 0o755 if path.parent.name == "bin" else 0o644
                with path.open("rb") as content:
                    archive.addfile(entry, content)
    return packed.getvalue()


def _zig(folder: str, *arguments: str) -> str:
    command = [sys.executable, "-m", "ziglang", *arguments]
    return subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()

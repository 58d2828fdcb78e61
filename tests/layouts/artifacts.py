"""Each layout's repository, and what its CI uploads: names, archives and folders as its build tool makes them."""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from tests.layouts.binaries import library, program, static_program, webassembly, webassembly_library

HERE = Path(__file__).parent
LICENSE = b"Do with it what you like.\n"


def make(layout: str, folder: Path) -> tuple[Path, Path]:
    """Return a layout's repository and the folder of its CI's artifacts, made in a folder of the caller's."""
    repository, artifacts = folder / "repository", folder / "artifacts"
    shutil.copytree(HERE / layout, repository)
    for command in (("init", "-q"), ("add", "-A")):
        subprocess.run(["git", "-C", repository, *command], check=True)  # noqa: S607 - any git
    LAYOUTS[layout](artifacts)
    return repository, artifacts


def biome(out: Path) -> None:
    """One artifact for each platform, with the bare program under the platform's name."""
    for platform in ("darwin-arm64", "linux-arm64", "linux-x64", "linux-x64-musl", "win32-x64"):
        _put(out / f"cli-{platform}/lint-{platform}{_exe(platform)}", program(platform))


def goreleaser(out: Path) -> None:
    """One artifact with the folder dist/: an archive for each platform, a zip for Windows, and the checksums."""
    words = {
        "darwin-arm64": "darwin_arm64",
        "linux-arm64": "linux_arm64",
        "linux-x64": "linux_amd64",
        "win32-x64": "windows_amd64",
    }
    checksums = []
    for platform, word in words.items():
        files = {"LICENSE": LICENSE, "README.md": b"# tool\n", f"tool{_exe(platform)}": static_program(platform)}
        name = f"tool_1.2.3_{word}" + (".zip" if _exe(platform) else ".tar.gz")
        packed = _zip(files) if _exe(platform) else gzip.compress(_tar(files), mtime=0)
        checksums.append(_checksum(packed, name))
        _put(out / "dist" / name, packed)
    _put(out / "dist/checksums.txt", "".join(checksums).encode())
    _put(out / "dist/metadata.json", b'{"project_name": "tool", "version": "1.2.3"}\n')


def cargo_dist(out: Path) -> None:
    """An artifact for each target: .tar.xz with a folder around all, a flat .zip for Windows, a .sha256 beside each."""
    targets = {
        "darwin-arm64": "aarch64-apple-darwin",
        "linux-arm64": "aarch64-unknown-linux-gnu",
        "linux-x64": "x86_64-unknown-linux-gnu",
        "linux-x64-musl": "x86_64-unknown-linux-musl",
        "win32-x64": "x86_64-pc-windows-msvc",
    }
    for platform, target in targets.items():
        folder = out / f"artifacts-build-local-{target}"
        files = {"LICENSE": LICENSE, "README.md": b"# tool\n", f"tool{_exe(platform)}": program(platform)}
        within = {f"tool-{target}/{name}": content for name, content in files.items()}
        name = f"tool-{target}" + (".zip" if _exe(platform) else ".tar.xz")
        packed = _zip(files) if _exe(platform) else lzma.compress(_tar(within))
        _put(folder / name, packed)
        _put(folder / f"{name}.sha256", _checksum(packed, name, "*").encode())
        _put(folder / f"{target}-dist-manifest.json", b"{}\n")
    _put(out / "artifacts-build-global/sha256.sum", b"")


def esbuild(out: Path) -> None:
    """One artifact with the npm folders as the build has filled them; a script and WebAssembly for Android on ARM."""
    scope = out / "npm/@acme-bundle"
    for platform in ("darwin-arm64", "linux-arm64", "linux-x64"):
        _put(scope / platform / "bin/bundle", program(platform))
    _put(scope / "win32-x64/bundle.exe", program("win32-x64"))
    _put(scope / "android-arm/bin/bundle", b'#!/usr/bin/env node\nrequire("../wasm.js");\n')
    _put(scope / "android-arm/wasm.js", b'require("fs").readFileSync(`${__dirname}/bundle.wasm`);\n')
    _put(scope / "android-arm/bundle.wasm", webassembly())


def sharp_libvips(out: Path) -> None:
    """An artifact with a .tar.gz for each platform, and one for WebAssembly; headers lie beside the libraries."""
    libraries = {
        "darwin-arm64": ("darwin-arm64v8", "libvips.42.dylib"),
        "linux-arm64": ("linux-arm64v8", "libvips.so.42"),
        "linux-x64": ("linux-x64", "libvips.so.42"),
        "linux-x64-musl": ("linuxmusl-x64", "libvips.so.42"),
        "win32-x64": ("win32-x64", "libvips-42.dll"),
    }
    common = {
        "THIRD-PARTY-NOTICES.md": b"# Notices\n",
        "include/vips/vips.h": b"#define VIPS_MAJOR 8\n",
        "versions.json": b'{"vips": "8.1.0", "zlib": "1.3.1"}\n',
    }
    archives = {
        build: {
            **common,
            f"lib/{name}": library(platform),
            "lib/glib/include/config.h": f'#define GLIB_BUILT_FOR "{build}"\n'.encode(),
        }
        for platform, (build, name) in libraries.items()
    }
    archives["dev-wasm32"] = {**common, "lib/libvips.a": webassembly_library()}
    for build, files in archives.items():
        _put(out / f"vips-{build}/vips-1.2.3-{build}.tar.gz", gzip.compress(_tar(files), mtime=0))


def _put(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def _exe(platform: str) -> str:
    return ".exe" if platform.startswith("win32") else ""


def _checksum(content: bytes, name: str, mark: str = " ") -> str:
    return f"{hashlib.sha256(content).hexdigest()} {mark}{name}\n"


def _mode(name: str) -> int:
    return 0o755 if Path(name).stem == "tool" else 0o644


def _tar(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), _mode(name)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _zip(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = _mode(name) << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


LAYOUTS = {
    "biome": biome,
    "cargo-dist": cargo_dist,
    "esbuild": esbuild,
    "goreleaser": goreleaser,
    "sharp-libvips": sharp_libvips,
}

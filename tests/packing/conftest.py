"""Archives, hostile and harmless, made member by member; and binaries of every platform, made by zig."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import subprocess
import sys
import tarfile
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from flotilla.errors import ArchiveError
from flotilla.family import Limits, Platform
from flotilla.packing import extract

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "tar": lambda data: data,
    "tar.gz": lambda data: gzip.compress(data, mtime=0),
    "tar.bz2": bz2.compress,
    "tar.xz": lzma.compress,
    "tar.zst": zstd.compress,
}


@dataclass(frozen=True)
class Entry:
    """A member to put into an archive, with whatever an attacker would say of it."""

    name: str
    data: bytes = b""
    mode: int = 0o644
    kind: bytes = tarfile.REGTYPE
    target: str = ""

    def info(self) -> tarfile.TarInfo:
        info = tarfile.TarInfo(self.name)
        info.size, info.mode, info.type, info.linkname = len(self.data), self.mode, self.kind, self.target
        return info


@dataclass(frozen=True)
class Archives:
    """Makes archives in a folder of their own."""

    folder: Path

    def tar_bytes(self, entries: Iterable[Entry]) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for entry in entries:
                archive.addfile(entry.info(), io.BytesIO(entry.data))
        return buffer.getvalue()

    def tar(self, *entries: Entry, form: str = "tar.gz") -> Path:
        return self.raw(COMPRESS[form](self.tar_bytes(entries)), f"made.{form}")

    def zip(self, *entries: Entry, method: int = zipfile.ZIP_DEFLATED) -> Path:
        path = self.folder / "made.zip"
        with zipfile.ZipFile(path, "w", method) as archive, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of duplicate names, which are meant
            for entry in entries:
                info = zipfile.ZipInfo(entry.name)
                info.external_attr = entry.mode << 16
                info.compress_type = method
                archive.writestr(info, entry.data)
        return path

    def sparse(self, name: str, real_size: int, sparse_map: bytes) -> Path:
        """Return a tar.gz of one sparse file that claims so many bytes."""
        info = tarfile.TarInfo(name)
        info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(real_size)}
        info.size = 512
        data = info.tobuf(tarfile.PAX_FORMAT) + sparse_map.ljust(512, b"\0") + bytes(1024)
        return self.raw(COMPRESS["tar.gz"](data))

    def named_zip(
        self, written: bytes, extra: bytes = b"", *, flags: int = 0, local_extra: bytes | None = None
    ) -> Path:
        """Return a zip of one member with these bytes for a name, and these fields behind it in both headers."""
        local = extra if local_extra is None else local_extra
        sizes = struct.pack("<LLLHH", zlib.crc32(b"x"), 1, 1, len(written), len(local))
        head = b"PK\x03\x04" + struct.pack("<HHHHH", 20, flags, 0, 0, 33) + sizes + written + local + b"x"
        sizes = sizes[:-2] + struct.pack("<H", len(extra))
        entry = b"PK\x01\x02" + struct.pack("<HHHHHH", 0x0314, 20, flags, 0, 0, 33) + sizes
        entry += struct.pack("<HHHLL", 0, 0, 0, 0o100644 << 16, 0) + written + extra
        end = b"PK\x05\x06" + struct.pack("<HHHHLLH", 0, 0, 1, 1, len(entry), len(head), 0)
        return self.raw(head + entry + end, "made.zip")

    def raw(self, data: bytes, name: str = "made.tar.gz") -> Path:
        path = self.folder / name
        path.write_bytes(data)
        return path


@pytest.fixture
def archives(tmp_path: Path) -> Archives:
    folder = tmp_path / "archives"
    folder.mkdir()
    return Archives(folder)


Attack = Callable[[Path, str], None]


@pytest.fixture
def refused(tmp_path: Path, limits: Limits) -> Attack:
    """Return what extracts an archive and expects a refusal with these words, without a trace."""

    def refuse(archive: Path, words: str) -> None:
        out = tmp_path / "area/out"
        (tmp_path / "canary").write_text("canary")
        out.parent.mkdir(exist_ok=True)
        before = set(tmp_path.rglob("*"))
        with pytest.raises(ArchiveError, match=words):
            extract(archive, out, limits=limits)
        assert [path for path in tmp_path.rglob("*") if path not in before] == []
        assert (tmp_path / "canary").read_text() == "canary"

    return refuse


@pytest.fixture
def limits() -> Limits:
    return Limits(extracted_bytes=4 << 20, files=200, ratio=200)


TARGETS = {
    "darwin-arm64": "aarch64-macos",
    "darwin-x64": "x86_64-macos",
    "linux-arm64": "aarch64-linux-gnu.2.28",
    "linux-x64": "x86_64-linux-gnu.2.28",
    "linux-x64-musl": "x86_64-linux-musl",
    "win32-x64": "x86_64-windows-gnu",
    "win32-arm64": "aarch64-windows-gnu",
}
FIRST = "int acme_one(int a) { return a ^ 1; }\n"
SECOND = "int acme_one(int); int acme_two(int a) { return acme_one(a) ^ 2; }\n"
PROGRAM = "void _start(void) { for (;;) {} }\n"


@dataclass(frozen=True)
class Zig:
    """zig's compiler, for small files without a libc, since building one takes most of a minute."""

    folder: Path

    def run(self, *arguments: str) -> None:
        subprocess.run([sys.executable, "-m", "ziglang", *arguments], cwd=self.folder, check=True, capture_output=True)

    def compile(self, platform: str, out: str, *arguments: str) -> Path:
        flags = ("-O1", "-fno-sanitize=undefined")
        self.run("cc", "-target", TARGETS[platform], *flags, *arguments, "-o", out)
        return self.folder / out

    def source(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text)
        return name

    def object_of(self, platform: str) -> Path:
        return self._once(f"{platform}.o", lambda out: self.compile(platform, out, "-c", self.source("first.c", FIRST)))

    def static(self, platform: str) -> Path:
        return self._once(f"{platform}.a", lambda out: self._archive(platform, out))

    def shared(self, platform: str) -> Path:
        sources = [self.source("first.c", FIRST), self.source("second.c", SECOND)]
        entry = () if platform.startswith("linux") else ("-Wl,-e,acme_one",)
        return self._once(
            f"{platform}.shared", lambda out: self.compile(platform, out, "-shared", "-nostdlib", *sources, *entry)
        )

    def program(self, platform: str, *, loader: str | None = None) -> Path:
        """Return a program that never ends, static if no loader is given; only Linux starts one without a libc."""
        return self._once(
            f"{platform}{(loader or '').replace('/', '-')}.program", partial(self._program, platform, loader)
        )

    def _program(self, platform: str, loader: str | None, out: str) -> None:
        source = self.source("program.c", PROGRAM)
        if loader is None:
            self.compile(platform, out, "-nostdlib", "-static", source)
            return
        stub = self.source("stub.c", "int acme_new(void) { return 1; }\n")
        self.compile(platform, f"{out}.stub.so", "-shared", "-nostdlib", stub, "-Wl,-soname,libacme.so.1")
        options = ("-nostdlib", "-pie", f"-Wl,--dynamic-linker={loader}")
        self.compile(platform, out, *options, source, f"{out}.stub.so")

    def needing(self, platform: str, *libraries: tuple[str, str], extra: str = "") -> Path:
        """Return a shared library that asks each of these libraries for a symbol of that version.

        Args:
            extra: C to compile in.
        """
        name = "-".join([platform, *(word for library in libraries for word in library), str(len(extra))])
        return self._once(f"{name}.needy", partial(self._needing, platform, libraries, extra))

    def _needing(self, platform: str, libraries: tuple[tuple[str, str], ...], extra: str, out: str) -> None:
        options, stubs = ("-shared", "-nostdlib"), []
        for number, (library, version) in enumerate(libraries):
            stub = self.source("stub.c", f"int acme_{number}(void) {{ return 1; }}\n")
            script = self.source("stub.map", f"{version} {{ acme_{number}; }};\n")
            stubs.append(f"{out}.{number}.so")
            told = (f"-Wl,-soname,{library}", f"-Wl,--version-script,{script}")
            self.compile(platform, stubs[-1], *options, stub, *told)
        calls = "".join(
            f"int acme_{n}(void); int acme_needs_{n}(void) {{ return acme_{n}(); }}\n" for n in range(len(stubs))
        )
        self.compile(platform, out, *options, self.source("needy.c", calls + extra), *stubs)

    def linked(self, platform: str, library: str, *options: str) -> Path:
        """Return a shared library linked to another of that name: a soname, an install name, or a DLL's name."""
        name = "-".join([platform, library, *options]).replace("/", "+")
        return self._once(f"{name}.linked", partial(self._linked, platform, library, options))

    def _linked(self, platform: str, library: str, options: tuple[str, ...], out: str) -> None:
        stub, flags = f"{out}.stub", ("-shared", "-nostdlib")
        if platform.startswith("win32"):
            self.source(f"{stub}.def", f"LIBRARY {library}\nEXPORTS\nacme_stub\n")
            self.run("dlltool", "-m", "i386:x86-64", "-d", f"{stub}.def", "-l", f"{stub}.lib")
            other, entry = f"{stub}.lib", "-Wl,-e,acme_use"
        else:
            told = "-install_name" if platform.startswith("darwin") else "-soname"
            other, entry = f"{stub}.so", "-Wl,-e,acme_use"
            self.compile(
                platform,
                other,
                *flags,
                self.source("stub.c", "int acme_stub(void) { return 1; }\n"),
                f"-Wl,{told},{library}",
            )
        uses = self.source("uses.c", "int acme_stub(void); int acme_use(void) { return acme_stub(); }\n")
        self.compile(platform, out, *flags, uses, other, entry, *options)

    def addon(self, platform: str, *functions: str) -> Path:
        """Return a shared library that takes these functions from whatever loads it; for win32-x64, from node.exe."""
        name = "-".join([platform, *functions])
        return self._once(f"{name}.addon", partial(self._addon, platform, functions))

    def _addon(self, platform: str, functions: tuple[str, ...], out: str) -> None:
        declared = "".join(f"int {name}(void);\n" for name in functions)
        calls = "".join(f"    {name}();\n" for name in functions)
        source = self.source("addon.c", f"{declared}void acme_init(void) {{\n{calls}}}\n")
        options = ["-Wl,-undefined,dynamic_lookup"] if platform.startswith("darwin") else []
        if platform.startswith("win32"):
            self.source(f"{out}.def", "\n".join(["LIBRARY node.exe", "EXPORTS", *functions, ""]))
            self.run("dlltool", "-m", "i386:x86-64", "-d", f"{out}.def", "-l", f"{out}.lib")
            options = [f"{out}.lib", "-Wl,-e,acme_init"]
        self.compile(platform, out, "-shared", "-nostdlib", source, *options)

    def _archive(self, platform: str, out: str) -> None:
        second = f"{platform}-an-object-of-a-rather-long-name.o"
        self.compile(platform, second, "-c", self.source("second.c", SECOND))
        self.run("ar", "rcs", out, self.object_of(platform).name, second)

    def _once(self, name: str, make: Callable[[str], object]) -> Path:
        path = self.folder / name
        if not path.exists():
            make(name)
        return path


@pytest.fixture(scope="session")
def zig(tmp_path_factory: pytest.TempPathFactory) -> Zig:
    return Zig(tmp_path_factory.mktemp("zig"))


def upx_program(*, kind: int = 3, mark: bytes = b"UPX!") -> bytes:
    """Return a program for x64 as UPX leaves it: no loader, libraries or sections; a mark after the program header."""
    size = 64 + 56 + 12
    ident = b"\x7fELF\2\1\1".ljust(16, b"\0")
    head = ident + struct.pack("<HHIQQQIHHHHHH", kind, 62, 1, 0x1040, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    return head + struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, size, size, 4096) + bytes(4) + mark + bytes(4)


PLATFORMS = {
    "darwin-arm64": Platform(name="darwin-arm64", os=("darwin",), cpu=("arm64",), build="darwin-arm64"),
    "darwin-x64": Platform(name="darwin-x64", os=("darwin",), cpu=("x64",), build="darwin-x64"),
    "linux-arm64": Platform(name="linux-arm64", os=("linux",), cpu=("arm64",), libc=("glibc",), build="linux-arm64"),
    "linux-x64": Platform(name="linux-x64", os=("linux",), cpu=("x64",), libc=("glibc",), build="linux-x64"),
    "linux-x64-musl": Platform(name="linux-x64-musl", os=("linux",), cpu=("x64",), libc=("musl",), build="musl"),
    "win32-x64": Platform(name="win32-x64", os=("win32",), cpu=("x64",), build="win32-x64"),
    "win32-arm64": Platform(name="win32-arm64", os=("win32",), cpu=("arm64",), build="win32-arm64"),
}


def on(os: str, *cpu: str, libc: tuple[str, ...] = ()) -> Platform:
    return Platform(name=f"{os}-{cpu[-1]}", os=(os,), cpu=cpu, libc=libc, build="b")


def put(root: Path, **files: Path | bytes) -> Path:
    root.mkdir(exist_ok=True)
    for name, content in files.items():
        data = content if isinstance(content, bytes) else content.read_bytes()
        (root / name.replace("__", ".")).write_bytes(data)
    return root


def universal(*parts: tuple[int, bytes]) -> bytes:
    """Return a universal file of these (cpu type, content) parts."""
    head, body = struct.pack(">II", 0xCAFEBABE, len(parts)), b""
    start = len(head) + 20 * len(parts)
    for cpu, data in parts:
        head += struct.pack(">IIIII", cpu, 0, start + len(body), len(data), 0)
        body += data
    return head + body


UNIVERSAL = Platform(name="darwin-universal", os=("darwin",), cpu=("arm64", "x64"), build="universal")
ARM64, X64, IA32 = 0x0100000C, 0x01000007, 7


def xcoff(cpu: str, *, flags: int = 0x0002) -> bytes:
    """Return AIX's format: the header, one section's header and sixteen bytes of code."""
    if cpu == "ppc":
        head = struct.pack(">HHIIiHH", 0x01DF, 1, 0, 0, 0, 0, flags)
        return head + struct.pack(">8sIIIIIIHHI", b".text", 0, 0, 16, 60, 0, 0, 0, 0, 0x20) + bytes(16)
    head = struct.pack(">HHIQHHi", 0x01F7, 1, 0, 0, 0, flags, 0)
    return head + struct.pack(">8sQQQQQQIIII", b".text", 0, 0, 16, 96, 0, 0, 0, 0, 0x20, 0) + bytes(16)

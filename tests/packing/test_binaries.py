"""What is a binary: zig's output for every platform, and what only looks like one."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from tests.packing.conftest import ARM64, PLATFORMS, TARGETS, X64, Zig, put, universal

from flotilla.packing import binary_faults, identify
from flotilla.packing.binaries import UnreadableError

FORMATS = {"darwin": "Mach-O", "linux": "ELF", "win32": "PE"}


@pytest.mark.parametrize("platform", sorted(TARGETS))
@pytest.mark.parametrize("form", ["object_of", "static", "shared"])
def test_zig_output_is_known_for_its_platform(zig: Zig, platform: str, form: str) -> None:
    found = identify(getattr(zig, form)(platform))
    wanted = PLATFORMS[platform]
    assert {binary.cpus for binary in found} == {wanted.cpu}
    assert {binary.format for binary in found} == {FORMATS[wanted.os[0]]}
    assert {binary.os for binary in found} <= {*wanted.os, None}
    assert not any(binary.executable for binary in found)
    assert len(found) == (2 if form == "static" else 1)


@pytest.mark.parametrize("platform", sorted(TARGETS))
def test_objects_of_a_static_library_keep_their_long_names(zig: Zig, platform: str) -> None:
    names = {binary.member for binary in identify(zig.static(platform))}
    assert names == {f"{platform}.o", f"{platform}-an-object-of-a-rather-long-name.o"}


def test_a_thin_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "lib.a"
    path.write_bytes(b"!<thin>\n" + b"/               0           0     0     644     4         `\n....")
    with pytest.raises(UnreadableError, match="thin archive"):
        identify(path)


@pytest.mark.parametrize("platform", sorted(TARGETS))
@pytest.mark.parametrize("form", ["static", "shared"])
def test_a_truncated_binary_is_refused_wherever_it_was_cut(zig: Zig, tmp_path: Path, platform: str, form: str) -> None:
    whole = getattr(zig, form)(platform).read_bytes()
    suffix = {"static": "a", "shared": "node"}[form]
    for cut in range(0, len(whole) - 1, max(1, len(whole) // 40)):
        root = put(tmp_path / "package", **{f"libacme__{suffix}": whole[:cut]})
        faults = binary_faults(root, PLATFORMS[platform])
        assert faults, cut
        assert all(fault.startswith(("libacme.", "no binary")) for fault in faults), faults


@pytest.mark.parametrize(
    "data",
    [
        b"\x7fELF",
        b"\x7fELF\x02\x01\x01" + b"\xff" * 57,
        b"\xcf\xfa\xed\xfe" + b"\xff" * 60,
        struct.pack("<IIIIIIII", 0xFEEDFACF, X64, 3, 6, 1 << 31, 1 << 21, 0, 0) + struct.pack("<II", 1, 0) * (1 << 18),
        universal((ARM64, b""), (X64, b"")),
        struct.pack(">II", 0xCAFEBABE, 2) + struct.pack(">IIIII", ARM64, 0, 0, 1 << 30, 0),
        struct.pack(">II", 0xCAFEBABE, 1) + struct.pack(">IIIII", ARM64, 0, 0, 28, 0),
        b"!<arch>\n" + b"a/              0           0     0     644     -68       `\n",
        b"!<arch>\n" + b"#1/99999999     0           0     0     644     999999999 `\n",
        b"!<arch>\n" + b"/7              0           0     0     644     1         `\n.",
        b"MZ".ljust(60, b"\0") + struct.pack("<I", 64) + b"PE\0\0" + b"\xff" * 300,
    ],
)
def test_headers_that_lie_or_loop_become_a_fault(tmp_path: Path, data: bytes) -> None:
    root = put(tmp_path / "package", libacme__so=data)
    (fault,) = binary_faults(root, PLATFORMS["darwin-arm64"])
    assert fault.startswith("libacme.so ")

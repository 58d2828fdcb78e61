"""Mach-O: universal binaries and libraries, and headers that lead in circles."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from tests.packing.conftest import ARM64, PLATFORMS, UNIVERSAL, X64, Zig, put, universal

from flotilla.packing import binary_faults, identify
from flotilla.packing.binaries import UnreadableError


def test_a_universal_static_library_counts_by_its_objects(zig: Zig, tmp_path: Path) -> None:
    parts = [(cpu, zig.static(f"darwin-{name}").read_bytes()) for cpu, name in ((ARM64, "arm64"), (X64, "x64"))]
    root = put(tmp_path / "package", libacme__a=universal(*parts))
    assert binary_faults(root, UNIVERSAL) == []
    assert len(binary_faults(root, PLATFORMS["linux-x64"])) == 1


def test_a_universal_binary_that_lies_about_its_parts_is_refused(zig: Zig, tmp_path: Path) -> None:
    path = tmp_path / "lying.node"
    path.write_bytes(universal((ARM64, zig.shared("darwin-x64").read_bytes())))
    with pytest.raises(UnreadableError, match="a different cpu"):
        identify(path)


def test_a_universal_binary_with_a_part_that_is_no_binary_is_refused(zig: Zig, tmp_path: Path) -> None:
    path = tmp_path / "half.node"
    path.write_bytes(universal((X64, zig.shared("darwin-x64").read_bytes()), (ARM64, bytes(4096))))
    with pytest.raises(UnreadableError, match="not a binary"):
        identify(path)


def test_headers_that_are_read_again_and_again_end_in_a_fault(tmp_path: Path) -> None:
    sections = 50_000  # each claims to be all of the 4 MB that describe them: 200 GB to read, and to keep
    size = 72 + 80 * sections
    head = struct.pack("<IIIIIIII", 0xFEEDFACF, ARM64, 0, 6, 1, size, 0, 0)
    segment = struct.pack("<II16sQQQQIIII", 0x19, size, b"", 0, 0, 0, 0, 7, 7, sections, 0)
    section = struct.pack("<16s16sQQIIIIIIII", b"", b"", 0, size, 0, 0, 0, 0, 0, 0, 0, 0)
    root = put(tmp_path / "package", acme__node=head + segment + section * sections)
    assert binary_faults(root, PLATFORMS["darwin-arm64"]) == [
        "acme.node cannot be read as Mach-O: its headers point in circles"
    ]

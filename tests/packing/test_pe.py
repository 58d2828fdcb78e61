"""XCOFF, AIX's descendant of COFF."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.packing.conftest import on, put, xcoff

from flotilla.packing import binary_faults, identify
from flotilla.packing.binaries import Binary


@pytest.mark.parametrize("cpu", ["ppc", "ppc64"])
def test_xcoff_is_for_aix(tmp_path: Path, cpu: str) -> None:
    root = put(tmp_path / "package", acme=xcoff(cpu))
    assert identify(root / "acme") == (Binary(format="XCOFF", os="aix", cpus=(cpu,), executable=True),)
    assert binary_faults(root, on("aix", cpu)) == []
    assert len(binary_faults(root, on("linux", cpu))) == 1
    assert len(binary_faults(root, on("aix", "arm64"))) == 1


def test_aixs_binaries_are_for_os400_too(tmp_path: Path) -> None:
    assert binary_faults(put(tmp_path / "package", acme=xcoff("ppc64")), on("os400", "ppc64")) == []


def test_a_shared_object_of_aix_is_no_program(tmp_path: Path) -> None:
    assert not identify(put(tmp_path / "p", acme__node=xcoff("ppc64", flags=0x2002)) / "acme.node")[0].executable


@pytest.mark.parametrize("cpu", ["ppc", "ppc64"])
def test_a_truncated_xcoff_is_refused_or_nothing_at_all(tmp_path: Path, cpu: str) -> None:
    whole = xcoff(cpu)
    for cut in range(2, len(whole)):
        assert binary_faults(put(tmp_path / "package", acme__node=whole[:cut]), on("aix", cpu)), cut


@pytest.mark.parametrize("data", [b"\x01\xdf", b"\x01\xf7" + bytes(200), b"\x01\xdf" + bytes(range(200))])
def test_two_bytes_do_not_make_a_file_aixs(tmp_path: Path, data: bytes) -> None:
    assert identify(put(tmp_path / "package", data=data) / "data") == ()

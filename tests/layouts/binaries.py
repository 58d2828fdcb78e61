"""Small real binaries of every platform, compiled by zig once for their sources and kept in the cache."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
SAYS = "tool 1.2.3"

PROGRAM = "int puts(const char *);\nint main(void) { return puts(SAYS) < 0; }\n"
# Windows has no libc that is built in a moment, so that the program does without, and says nothing.
SILENT = "int mainCRTStartup(void) { return 0; }\n"
# As Go links its programs: no libc at all.
STATIC = """
static const char says[] = SAYS "\\n";
#if defined(__x86_64__)
static long call(long number, long one, long two, long three) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(one), "S"(two), "d"(three) : "rcx", "r11", "memory");
    return result;
}
enum { WRITE = 1, EXIT = 60 };
#else
static long call(long number, long one, long two, long three) {
    register long x8 __asm__("x8") = number, x0 __asm__("x0") = one, x1 __asm__("x1") = two, x2 __asm__("x2") = three;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
    return x0;
}
enum { WRITE = 64, EXIT = 93 };
#endif
void _start(void) {
    call(WRITE, 1, (long)says, sizeof says - 1);
    call(EXIT, 0, 0, 0);
}
"""
# It asks libc for a symbol, as every real library does.
LIBRARY = 'char *getenv(const char *);\nint acme_talks(void) { return getenv("ACME_TALKS") != 0; }\n'
# A Node addon that exports a string.
ADDON = """
int puts(const char *);
int napi_create_string_utf8(void *, const char *, unsigned long, void **);
void *napi_register_module_v1(void *environment, void *exports) {
    if (napi_create_string_utf8(environment, SAYS, sizeof SAYS - 1, &exports)) puts("no memory");
    return exports;
}
"""
SILENT_LIBRARY = (
    "__declspec(dllexport) void *napi_register_module_v1(void *environment, void *exports) { return exports; }\n"
)
WEBASSEMBLY = "int answer(void) { return 42; }\n"

TARGETS = {
    "darwin-arm64": "aarch64-macos.11.0",
    "darwin-x64": "x86_64-macos.11.0",
    "linux-arm64": "aarch64-linux-gnu.2.17",
    "linux-x64": "x86_64-linux-gnu.2.17",
    "linux-x64-musl": "x86_64-linux-musl",
    "win32-arm64": "aarch64-windows-gnu",
    "win32-x64": "x86_64-windows-gnu",
}
FLAGS = ("-O", "ReleaseFast", "-fstrip", "-fno-compiler-rt", "-fno-ubsan-rt")
SHARED = ("build-lib", "-dynamic")
CONSOLE = ("--subsystem", "console", "-fentry=mainCRTStartup")


def program(platform: str) -> bytes:
    """Return a program that prints SAYS and a newline."""
    if platform.startswith("win32"):
        return _built(SILENT, "build-exe", "-target", TARGETS[platform], *CONSOLE, *FLAGS)
    return _built(PROGRAM, "build-exe", "-dynamic", "-target", TARGETS[platform], *FLAGS, "-lc", "-fPIC")


def static_program(platform: str) -> bytes:
    """Return a program as Go links it: on Linux without a libc and without a loader."""
    if not platform.startswith("linux"):
        return program(platform)
    return _built(STATIC, "build-exe", "-static", "-target", f"{TARGETS[platform].split('-')[0]}-linux-none", *FLAGS)


def library(platform: str) -> bytes:
    """Return a shared library."""
    if platform.startswith("win32"):
        return _built(SILENT_LIBRARY, *SHARED, "-target", TARGETS[platform], *FLAGS, "-fentry=napi_register_module_v1")
    return _built(LIBRARY, *SHARED, "-target", TARGETS[platform], *FLAGS, "-lc", "-fPIC")


def addon(platform: str) -> bytes:
    """Return a Node addon that exports SAYS; on Windows it exports nothing."""
    if platform.startswith("win32"):
        return library(platform)
    also = ("-lc", "-fPIC", "-fallow-shlib-undefined")
    return _built(ADDON, *SHARED, "-target", TARGETS[platform], *FLAGS, *also)


def webassembly() -> bytes:
    """Return a WebAssembly module that exports answer()."""
    return _built(WEBASSEMBLY, "build-exe", "-target", "wasm32-freestanding", *FLAGS, "-fno-entry", "--export=answer")


def webassembly_library() -> bytes:
    """Return a static library of a WebAssembly object."""
    return _built(WEBASSEMBLY, "build-lib", "-static", "-target", "wasm32-freestanding", *FLAGS)


@cache
def _built(source: str, *arguments: str) -> bytes:
    flags = ("-cflags", f'-DSAYS="{SAYS}"', "--", "source.c")
    key = hashlib.sha256("\0".join([source, *arguments, *flags]).encode()).hexdigest()[:24]
    kept = Path(os.environ.get("FLOTILLA_CACHE", ROOT / ".cache")) / "layouts" / key
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            Path(folder, "source.c").write_text(source, encoding="utf-8")
            command = [sys.executable, "-m", "ziglang", *arguments, *flags, "-femit-bin=out"]
            subprocess.run(command, cwd=folder, check=True, capture_output=True)
            Path(folder, "out").rename(kept)
    return kept.read_bytes()

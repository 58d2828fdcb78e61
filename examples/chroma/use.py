"""What a user of chroma does, in a folder where npm has installed it: compile a program against it, and run it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

PROGRAM = r"""
#include <chroma.h>
#include <stdio.h>

int main(void) {
    const chroma_yuv red = chroma_from_rgb((chroma_rgb){255, 0, 0}, CHROMA_BT709);
    printf("chroma %s (%s): red is yuv(%d, %d, %d)\n", chroma_version(), chroma_variant(), red.y, red.u, red.v);
    return 0;
}
"""


def ask_node(expression: str) -> dict[str, str]:
    """Return the value of a JavaScript expression, evaluated where the packages are installed."""
    script = f"console.log(JSON.stringify({expression}))"
    answer: dict[str, str] = json.loads(subprocess.check_output(["node", "-e", script], text=True))
    return answer


def main() -> None:
    """Each variant with the static library, and the free one with the shared library too."""
    Path("program.c").write_text(PROGRAM, encoding="utf-8")
    include = ask_node('require("@acme/chroma-dev")')["include"]
    for name in ("@acme/chroma", "@acme/chroma-non-free"):
        package = ask_node(f"require({name!r})")
        for library in (package["staticLibrary"], package["library"]):
            compile_and_run(include, library)


def compile_and_run(include: str, library: str) -> None:
    """One program, linked to one library."""
    compiler = os.environ.get("CC", "cc")
    run_path = f"-Wl,-rpath,{Path(library).parent}"
    subprocess.run([compiler, "program.c", f"-I{include}", library, run_path, "-o", "program"], check=True)
    print(subprocess.check_output(["./program"], text=True).strip(), f"[{Path(library).name}]")


if __name__ == "__main__":
    main()

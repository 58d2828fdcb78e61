"""The image: built once for each architecture and commit, joined in an index, and attested."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scripts.release.registry import INDEX, Registry
from scripts.release.settings import DIGEST, ReleaseError, Settings, run

ARCHITECTURES = ("amd64", "arm64")
SIGNER = ".github/workflows/release.yml"


def sign_in(settings: Settings) -> None:
    """Let docker push to the image's registry; the token travels through stdin."""
    if settings.token:
        user, host = settings.environment.get("GITHUB_ACTOR", "flotilla"), settings.image.partition("/")[0]
        command = ("docker", "login", host, "--username", user, "--password-stdin")
        run(*command, tree=settings.tree, environment=settings.environment, given=settings.token.encode())


def build(settings: Settings) -> None:
    """Build and push the image of this machine's architecture, or take the attested one that this commit has.

    An image of the tag that has no attestation by this workflow is built again: the tag could be anybody's who may
    write packages.
    """
    architecture = settings.environment.get("ARCHITECTURE", "")
    if architecture not in ARCHITECTURES:
        raise ReleaseError(f'expected one of {", ".join(ARCHITECTURES)} in ARCHITECTURE, got "{architecture}"')
    registry, tag = Registry(settings), f"build-{settings.commit}-{architecture}"
    found = registry.one_image(tag)
    fresh = found is None or not is_attested(settings, found[0])
    if fresh:
        _build_and_push(settings, f"{settings.image}:{tag}")
        found = registry.one_image(tag)
    else:
        settings.say(f"{settings.image}:{tag} is already built and attested")
    if found is None:
        raise ReleaseError(f"the registry does not show {settings.image}:{tag}, which was pushed")
    digest, manifest = found
    _check_origin(settings, registry.config(manifest), architecture)
    settings.output("image", settings.image)
    settings.output("built", "true" if fresh else "false")
    settings.output(architecture, digest)


def _build_and_push(settings: Settings, name: str) -> None:
    # Without the builder's own attestations the tag holds one image; ours are made from its digest.
    environment = {**settings.environment, "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
    source = f"{settings.environment.get('GITHUB_SERVER_URL', 'https://github.com')}/{settings.repository}"
    labels = {"source": source, "revision": settings.commit, "version": settings.version}
    words = [w for key, one in labels.items() for w in ("--label", f"org.opencontainers.image.{key}={one}")]
    with _files(settings) as tree:
        run("docker", "build", "--quiet", *words, "--tag", name, ".", tree=tree, environment=environment)
    run("docker", "push", "--quiet", name, tree=settings.tree, environment=environment)
    settings.say(f"built and pushed {name}")


@contextmanager
def _files(settings: Settings) -> Iterator[Path]:
    """Give a folder with the commit's files and nothing else; the checkout may be another commit's."""
    with tempfile.TemporaryDirectory() as folder:
        archive, tree = Path(folder, "commit.tar"), Path(folder, "commit")
        tree.mkdir()
        for command in (
            ("git", "archive", "--format=tar", f"--output={archive}", settings.commit),
            ("tar", "--extract", f"--file={archive}", f"--directory={tree}"),
        ):
            run(*command, tree=settings.tree, environment=settings.environment)
        yield tree


def join(settings: Settings) -> None:
    """Create the index of both images and return its digest; the same two images make the same index."""
    registry, entries = Registry(settings), []
    for architecture in ARCHITECTURES:
        digest = settings.environment.get(architecture.upper(), "")
        if not re.fullmatch(DIGEST, digest) or (found := registry.manifest(digest)) is None:
            raise ReleaseError(f'the registry has no image "{digest}" for {architecture}; run the step `build` first')
        manifest = json.loads(found[1])
        if (real := registry.config(found[1])["architecture"]) != architecture:
            raise ReleaseError(f"{digest} is an image for {real}, not for {architecture}")
        platform = {"architecture": architecture, "os": "linux"}
        entry = {"mediaType": manifest["mediaType"], "digest": digest, "size": len(found[1]), "platform": platform}
        entries.append(entry)
    content = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}, indent=2).encode()
    settings.output("image", settings.image)
    settings.output("digest", registry.put(f"build-{settings.commit}", content))


def name_version(settings: Settings) -> None:
    """Give the image its version's tag, or verify it. The actions name the digest; the tag is for people.

    Raises:
        ReleaseError: if the tag is another image's.
    """
    registry = Registry(settings)
    there, wanted = registry.manifest(settings.version), registry.manifest(settings.digest)
    if wanted is None:
        raise ReleaseError(f"the registry has no {settings.pinned}")
    if there is None:
        registry.put(settings.version, wanted[1])
        settings.say(f"created {settings.image}:{settings.version} for {settings.digest}")
    elif there[0] != settings.digest:
        raise ReleaseError(
            f"{settings.image}:{settings.version} is already {there[0]}, not {settings.digest}. "
            "A published version never changes; release the next one."
        )
    else:
        settings.say(f"{settings.image}:{settings.version} is already {settings.digest}")


def is_attested(settings: Settings, digest: str) -> bool:
    """Say whether this repository's release workflow on main attests that it built the image.

    An attestation names the commit whose workflow ran, which for a backport is not the released one: that one stands
    in the label that the workflow sets, and is checked beside this.
    """
    signer = f"{settings.repository}/{SIGNER}"
    command = (*_gh("verify", settings, digest), "--signer-workflow", signer, "--source-ref", "refs/heads/main")
    try:
        run(*command, tree=settings.tree, environment=_with_token(settings))
    except ReleaseError:
        return False
    return True


def verify_attestation(settings: Settings) -> None:
    """Check before anything names the digest that it is attested and holds the commit's images.

    Raises:
        ReleaseError: if not.
    """
    registry = Registry(settings)
    if (index := registry.manifest(settings.digest)) is None or not is_attested(settings, settings.digest):
        raise ReleaseError(f"{settings.pinned} is missing, or has no attestation by {SIGNER}")
    for one in json.loads(index[1])["manifests"]:
        if (found := registry.manifest(one["digest"])) is None:
            raise ReleaseError(f"{settings.pinned} names {one['digest']}, which is missing")
        _check_origin(settings, registry.config(found[1]), one["platform"]["architecture"])
    settings.say(f"{settings.pinned} is attested, and of commit {settings.commit}")


def _check_origin(settings: Settings, config: Mapping[str, Any], architecture: str) -> None:
    revision = (config.get("config", {}).get("Labels") or {}).get("org.opencontainers.image.revision")
    if config["architecture"] != architecture or revision != settings.commit:
        raise ReleaseError(
            f"expected an image for {architecture} of commit {settings.commit}, "
            f"got one for {config['architecture']} of commit {revision}"
        )


def attestations(settings: Settings) -> bytes:
    """Return every attestation of the image, a line of JSON each."""
    with tempfile.TemporaryDirectory() as folder:
        run(*_gh("download", settings, settings.digest), tree=Path(folder), environment=_with_token(settings))
        [file] = Path(folder).glob("*.jsonl")
        return file.read_bytes()


def _gh(verb: str, settings: Settings, digest: str) -> tuple[str, ...]:
    return ("gh", "attestation", verb, f"oci://{settings.image}@{digest}", "--repo", settings.repository)


def _with_token(settings: Settings) -> dict[str, str]:
    return {**settings.environment, "GH_TOKEN": settings.token}

"""Run steps of flotilla's release: `python3 -m scripts.release STEP…`, with nothing but Python, git, docker and gh."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from scripts.release import github, image, repository
from scripts.release.settings import ReleaseError, Settings, stop


def check(settings: Settings) -> None:
    """Check that the release may begin."""
    repository.check_commit(settings)
    settings.say(f"{settings.tag} may be released from {settings.commit}")
    settings.output("commit", settings.commit)


# In this order; each creates what is missing and verifies what is there, so that a second run resumes.
STEPS: Mapping[str, Callable[[Settings], None]] = {
    "check": check,  # main, version, CHANGELOG
    "build": image.build,  # the image of one architecture, by digest
    "index": image.join,  # both architectures under one digest, which the end-to-end tests run
    "login": image.sign_in,  # for the attestations that go to the registry
    "attested": image.verify_attestation,
    "draft": github.draft,
    "name": image.name_version,  # the image's tag, for people
    "tag": repository.create_tag,  # the commit that names the digest
    "publish": github.publish,
    "move": repository.move_tags,  # vX.Y and vX, last, forward only
}


def main(arguments: Sequence[str], environment: Mapping[str, str], tree: Path) -> int:
    """Run the steps that the arguments name; return the exit code."""
    if not arguments or not set(arguments) <= STEPS.keys():
        return stop(ReleaseError(f"expected steps among {', '.join(STEPS)}, got {' '.join(arguments) or 'none'}"))
    try:
        settings = Settings.read(environment, tree)
        for name in arguments:
            STEPS[name](settings)
    except ReleaseError as why:
        return stop(why)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ, Path.cwd()))

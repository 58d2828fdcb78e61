"""The git side: the commit that names the image by digest, and the tags that lead to it."""

from __future__ import annotations

import base64
import fnmatch
import re
import tempfile
from collections.abc import Mapping

from scripts.release.settings import ReleaseError, Settings, run
from scripts.release.versions import Version, check, moving_tags

MAIN = "refs/heads/main"
ACTIONS = ("action.yml", "action-*/action.yml")
WORKFLOW = ".github/workflows/release-family.yml"
OWN_ACTION = re.compile(r"(?<=uses: )OWNER/flotilla(/[\w-]+)?@v1$", re.MULTILINE)
IMAGE_LINE = re.compile(r"^(  image: )(\S+)$", re.MULTILINE)
BOT = "41898282+github-actions[bot]@users.noreply.github.com"
SERVER = "https://github.com"


def git(settings: Settings, *arguments: str, given: bytes | None = None, more: Mapping[str, str] | None = None) -> str:
    """Run git in the checkout; its credential travels in the environment, never in an argument."""
    credential = base64.b64encode(f"x-access-token:{settings.token}".encode()).decode()
    server = settings.environment.get("GITHUB_SERVER_URL", SERVER)
    configured = {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{server}/.extraheader",
        "GIT_CONFIG_VALUE_0": f"AUTHORIZATION: basic {credential}",
    }
    environment = {
        **settings.environment,
        "GIT_TERMINAL_PROMPT": "0",
        **(configured if settings.token else {}),
        **(more or {}),
    }
    return run("git", *arguments, tree=settings.tree, environment=environment, given=given)


def text_of(settings: Settings, name: str) -> str:
    """Return a file of the commit to release."""
    return git(settings, "show", f"{settings.commit}:{name}") + "\n"


def check_commit(settings: Settings) -> str:
    """Return the release notes, once the workflow's ref, the commit, its version and its CHANGELOG fit each other.

    Raises:
        ReleaseError: if the release must not begin.
    """
    if settings.ref != MAIN:
        raise ReleaseError(f"a release runs from {MAIN}, not from {settings.ref or 'an unknown ref'}")
    version = Version.parse(settings.version)
    backport = f"release/{version.major}.{version.minor}"
    git(settings, "fetch", "--quiet", "--no-tags", "origin", "+refs/heads/*:refs/remotes/origin/*")
    for branch in ("main", backport):
        held = git(settings, "branch", "--remotes", "--list", f"origin/{branch}", "--contains", settings.commit)
        if held.strip():
            changelog, pyproject = text_of(settings, "CHANGELOG.md"), text_of(settings, "pyproject.toml")
            return check(settings.version, changelog=changelog, pyproject=pyproject)
    raise ReleaseError(f"commit {settings.commit} is neither on main nor on {backport}")


def pin(text: str, pinned: str) -> str:
    """Return an action.yml that names the image by digest.

    Raises:
        ReleaseError: if it has not exactly one image, or a pinned one.
    """
    images = [found[2] for found in IMAGE_LINE.finditer(text)]
    if len(images) != 1 or not images[0].endswith("Dockerfile"):
        raise ReleaseError(f"expected one `image:` that ends in Dockerfile, got {images or 'none'}")
    return IMAGE_LINE.sub(lambda found: f"{found[1]}docker://{pinned}", text)


def pin_own_actions(text: str, *, repository: str, tag: str) -> str:
    """Return the reusable workflow with its actions at this release's own tag: a caller that pins it, pins them.

    Raises:
        ReleaseError: if it names none.
    """
    pinned, count = OWN_ACTION.subn(lambda found: f"{repository}{found[1] or ''}@{tag}", text)
    if not count:
        raise ReleaseError(f"expected {WORKFLOW} to use OWNER/flotilla@v1")
    return pinned


def release_commit(settings: Settings) -> str:
    """Return the commit to tag: the released one with its images pinned. The same inputs make the same commit."""
    names = git(settings, "ls-tree", "-r", "--name-only", settings.commit).splitlines()
    actions = [name for name in names if any(fnmatch.fnmatch(name, pattern) for pattern in ACTIONS)]
    if not actions:
        raise ReleaseError(f"commit {settings.commit} has no action.yml")
    date = git(settings, "show", "--no-patch", "--format=%cI", settings.commit)
    with tempfile.TemporaryDirectory() as scratch:
        more = {"GIT_INDEX_FILE": f"{scratch}/index"}
        for role in ("AUTHOR", "COMMITTER"):
            more |= {f"GIT_{role}_NAME": "github-actions[bot]", f"GIT_{role}_EMAIL": BOT, f"GIT_{role}_DATE": date}
        git(settings, "read-tree", settings.commit, more=more)
        changed = {name: pin(text_of(settings, name), settings.pinned) for name in actions}
        if WORKFLOW in names:
            text = text_of(settings, WORKFLOW)
            changed[WORKFLOW] = pin_own_actions(text, repository=settings.repository, tag=settings.tag)
        for name, content in changed.items():
            blob = git(settings, "hash-object", "-w", "--stdin", given=content.encode())
            git(settings, "update-index", "--cacheinfo", f"100644,{blob},{name}", more=more)
        tree = git(settings, "write-tree", more=more)
        message = f"Release {settings.version}: pin the image"
        return git(settings, "commit-tree", tree, "-p", settings.commit, "-m", message, more=more)


def remote_tags(settings: Settings) -> dict[str, str]:
    """Return each tag of the remote and what it points to."""
    listed = git(settings, "ls-remote", "--tags", "--refs", "origin").splitlines()
    return {ref.removeprefix("refs/tags/"): sha for sha, ref in (line.split("\t") for line in listed)}


def create_tag(settings: Settings) -> None:
    """Create the version's tag, or verify it.

    Raises:
        ReleaseError: if it is another commit's.
    """
    commit, tag = release_commit(settings), settings.tag
    there = remote_tags(settings).get(tag)
    if there == commit:
        settings.say(f"tag {tag} is already {commit}")
    elif there is not None:
        raise ReleaseError(
            f"tag {tag} is {there}, not the release commit {commit}: it was made from another commit or image. "
            "A published version never changes; release the next one."
        )
    else:
        # Only where there is none yet: two runs at once do not move each other's tag.
        git(settings, "push", "--quiet", f"--force-with-lease=refs/tags/{tag}:", "origin", f"{commit}:refs/tags/{tag}")
        settings.say(f"created tag {tag} at {commit}")


def move_tags(settings: Settings) -> None:
    """Move vX.Y and vX to the release, last and forward only.

    Raises:
        ReleaseError: if the version has no tag yet.
    """
    tags = remote_tags(settings)
    commit = tags.get(settings.tag)
    if commit is None:
        raise ReleaseError(f"tag {settings.tag} does not exist; run the step `tag` first")
    moving = moving_tags(settings.version, tags)
    version = Version.parse(settings.version)
    for tag in (f"v{version.major}.{version.minor}", f"v{version.major}"):
        if tag not in moving:
            settings.say(
                f"tag {tag} stays at {tags.get(tag, 'none')}: it stands at a higher version, or this is a prerelease"
            )
        elif tags.get(tag) == commit:
            settings.say(f"tag {tag} is already {commit}")
        else:
            lease = f"--force-with-lease=refs/tags/{tag}:{tags.get(tag, '')}"
            git(settings, "push", "--quiet", lease, "origin", f"{commit}:refs/tags/{tag}")
            settings.say(f"moved tag {tag} to {commit}")

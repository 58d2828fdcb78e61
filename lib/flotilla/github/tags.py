"""Tags: resolve them to commits, create them once, never move them."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from urllib.parse import quote

from flotilla.documents import Document, documents
from flotilla.errors import ConflictError, FlotillaError, GitHubError
from flotilla.github.api import Call, Calls, Reply
from flotilla.github.models import unusable
from flotilla.retry import TransientError
from flotilla.text import one_line, sentence

DEEPEST_TAG = 5
WRITE = (
    "Tags and releases need `contents: write`. If the job has it: GITHUB_TOKEN cannot tag or release a commit whose "
    "`.github/workflows` differ from the default branch's; push the tag yourself, or use a token with "
    "`workflows: write`."
)
EXISTS = "already exists"


class Tags:
    """The tags of one repository."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._root = calls.endpoint.root

    def commit(self, tag: str) -> str | None:
        """Return the commit of a tag, annotated or not; None if the tag does not exist."""
        call = Call(what=f"read tag {tag}", path=f"{self._root}/git/ref/tags/{quote(tag)}")
        found = self._calls.find(call)
        if found is None:
            return None
        if found.text("ref") != f"refs/tags/{tag}":
            raise unusable(call.what, f"it is about {one_line(found.text('ref'))}")
        return self._dereferenced(found, tag)

    def beginning(self, prefix: str) -> list[str]:
        """Return the tags whose names begin so."""
        call = Call(what=f"list the tags {prefix}*", path=f"{self._root}/git/matching-refs/tags/{quote(prefix)}")
        found = documents(self._calls.ask(call).document, call.what, unusable)
        return [one.text("ref").removeprefix("refs/tags/") for one in found]

    def create(self, tag: str, commit: str) -> None:
        """Create the tag; do nothing if it already points to this commit.

        Raises:
            ConflictError: it points to another commit.
        """
        what = f"create tag {tag}"
        self._calls.write(lambda: self._sent(tag, commit), lambda: self._settled(tag, commit), what=what)

    def _sent(self, tag: str, commit: str) -> bool:
        call = Call(
            what=f"create tag {tag}",
            verb="POST",
            path=f"{self._root}/git/refs",
            body={"ref": f"refs/tags/{tag}", "sha": commit},
            answers=(HTTPStatus.UNPROCESSABLE_ENTITY,),
            hint=WRITE,
        )
        reply = self._calls.once(call)
        if reply.status != HTTPStatus.UNPROCESSABLE_ENTITY or self._settled(tag, commit):
            return True
        if EXISTS in reply.message:
            raise TransientError("GitHub says that the tag exists, but does not show it yet")
        raise self._refused(reply, call, commit)

    def _settled(self, tag: str, commit: str) -> bool | None:
        there = self.commit(tag)
        if there is None:
            return None
        if there != commit.lower():
            raise ConflictError(
                f"The tag {tag} already exists and points to commit {there}, not to {commit}.",
                advice="Release that commit (input `commit`), or another version; flotilla never moves a tag.",
            )
        return True

    def _refused(self, reply: Reply, call: Call, commit: str) -> TransientError | FlotillaError:
        if "does not exist" in reply.message:
            return GitHubError(
                f"{sentence(call.what)}: GitHub knows no commit {commit} in {self._calls.endpoint.repository}.",
                advice="Push the commit first, and give its full hash as the input `commit`.",
            )
        rules = "A ruleset of the repository may forbid creating this tag; allow GitHub Actions to create it there."
        return self._calls.refused(reply, replace(call, hint=rules))

    def _dereferenced(self, found: Document, tag: str) -> str:
        target = found.inner("object")
        for _ in range(DEEPEST_TAG):
            kind, sha = target.text("type"), target.text("sha").lower()
            if kind == "commit":
                return sha
            if kind != "tag":
                break
            call = Call(what=f"read the annotated tag {tag}", path=f"{self._root}/git/tags/{quote(sha)}")
            target = self._calls.document(call).inner("object")
        raise GitHubError(f"The tag {tag} does not point to a commit.", advice="Delete or rename that tag.")

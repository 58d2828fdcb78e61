"""Tags and releases: a tag never moves; a release is found by listing, drafted once, published last."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from urllib.parse import quote

from flotilla.documents import Document, documents
from flotilla.errors import ConflictError, FlotillaError, GitHubError
from flotilla.github.api import Call, Calls, Reply
from flotilla.github.models import Asset, Release, parse_asset, parse_release, unusable
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


# GitHub's list may lack a new draft for some seconds: check this often before creating it again.
LOOKS = 3


def the_release(releases: Sequence[Release], tag: str) -> Release | None:
    """Return the one release of a tag: the published one, else the one draft, else None.

    Raises:
        ConflictError: two drafts of the tag, and no way to tell which counts.
    """
    of_tag = [release for release in releases if release.tag == tag]
    published = [release for release in of_tag if not release.draft]
    if len(published or of_tag) > 1:
        raise ConflictError(
            [f"{release.url} is a draft of {tag}, with {len(release.assets)} assets." for release in of_tag],
            advice=f"Only one draft of {tag} can be published: delete the others, then re-run the job.",
        )
    return next(iter(published or of_tag), None)


class Releases:
    """The releases of one repository."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._root = f"{calls.endpoint.root}/releases"

    def of(self, tag: str) -> tuple[Release, ...]:
        """Return a tag's drafts and published releases; only the list shows drafts, to tokens with write access."""
        return self.of_and_before(tag, lambda _: None)[0]

    def of_and_before(
        self, tag: str, before: Callable[[Iterable[str]], str | None]
    ) -> tuple[tuple[Release, ...], Release | None]:
        """Return the same, and the published release that comes before, from one list.

        Args:
            before: chooses its tag among those of all published releases.
        """
        call = Call(what="list the releases", path=self._root)
        found = [(document, document.text("tag_name")) for document in self._calls.listed(call)]
        earlier = before(name for document, name in found if not document.flag("draft"))
        releases = tuple(parse_release(document) for document, name in found if name == tag)
        with suppress(GitHubError):  # of another tool, perhaps: nothing depends on it
            return releases, next((parse_release(document) for document, name in found if name == earlier), None)
        return releases, None

    def get(self, release_id: int) -> Release | None:
        """Return one release by its id, draft or not; None if there is none."""
        found = self._calls.find(Call(what=f"read release {release_id}", path=f"{self._root}/{release_id}"))
        return parse_release(found) if found else None

    def assets(self, release: Release) -> tuple[Asset, ...]:
        """Return the release's assets as they are now."""
        call = Call(what=f"list the assets of {release.tag}", path=f"{self._root}/{release.id}/assets")
        return tuple(parse_asset(document) for document in self._calls.listed(call))

    def generate_notes(self, tag: str, commit: str, *, since: str | None = None) -> str:
        """Return GitHub's own release notes; nothing is stored.

        Args:
            since: the tag that they begin at; None for the one that GitHub takes for the one before.
        """
        call = Call(
            what=f"generate the notes of {tag}",
            verb="POST",
            path=f"{self._root}/generate-notes",
            body={"tag_name": tag, "target_commitish": commit, **({"previous_tag_name": since} if since else {})},
            hint="Generating release notes needs `contents: write`.",
        )
        return self._calls.document(call).text("body")

    def create_draft(self, tag: str, *, name: str, body: str, prerelease: bool) -> Release:
        """Return the draft of a tag: the existing one, or a new one.

        Raises:
            ConflictError: another job made one too.
        """
        document = {"tag_name": tag, "name": name, "body": body, "draft": True, "prerelease": prerelease}
        call = Call(
            what=f"create the draft release {tag}",
            verb="POST",
            path=self._root,
            body=document,
            answers=(HTTPStatus.UNPROCESSABLE_ENTITY,),
            hint=WRITE,
        )
        there = self._draft(tag)
        if there is not None:
            return there
        made = self._calls.write(
            lambda: self._changed(call, tag), lambda: self._draft(tag), what=call.what, looks=LOOKS
        )
        self._refuse_others(made)
        return made

    def publish(self, release: Release, *, latest: bool, prerelease: bool) -> Release:
        """Publish the release, and return it; leave one that is already published as it is."""
        make_latest = "true" if latest and not prerelease else "false"
        # Send the tag: drafts published without it have lost their tag (semantic-release/github#362).
        body = {"tag_name": release.tag, "draft": False, "prerelease": prerelease, "make_latest": make_latest}
        call = Call(
            what=f"publish the release {release.tag}",
            verb="PATCH",
            path=f"{self._root}/{release.id}",
            body=body,
            answers=(HTTPStatus.UNPROCESSABLE_ENTITY,),
            hint=WRITE,
        )
        published = self._published(release.id)
        if published is not None:
            return published
        done = self._calls.write(
            lambda: self._changed(call, release.tag), lambda: self._published(release.id), what=call.what
        )
        if done.draft:
            raise unusable(call.what, "the release is still a draft")
        return done

    def delete_asset(self, asset: Asset) -> None:
        """Delete an asset; do nothing if it is already gone."""
        self._calls.ask(
            Call(
                what=f"delete the broken asset {asset.name}",
                verb="DELETE",
                path=f"{self._root}/assets/{asset.id}",
                answers=(HTTPStatus.NOT_FOUND,),
                hint=WRITE,
            )
        )

    def _draft(self, tag: str) -> Release | None:
        found = the_release(self.of(tag), tag)
        if found is not None and not found.draft:
            raise ConflictError(
                f"{found.url}: the release {tag} was published in the meantime.",
                advice="Another job published it. Re-run this job: it compares that release's assets with its own.",
            )
        return found

    def _refuse_others(self, made: Release) -> None:
        """List the releases once more before uploading: another job may have drafted one too, or the list lagged."""
        others = [release for release in self.of(made.tag) if release.id != made.id]
        found = the_release([made, *others], made.tag)
        if found != made:
            raise ConflictError(
                f"The release {made.tag} was published while this job drafted {made.url}.",
                advice="Delete that draft, then re-run the job: it compares the release's assets with its own.",
            )

    def _published(self, release_id: int) -> Release | None:
        found = self.get(release_id)
        return found if found is not None and not found.draft else None

    def _changed(self, call: Call, tag: str) -> Release:
        reply = self._calls.once(call)
        if reply.status == HTTPStatus.UNPROCESSABLE_ENTITY:
            raise self._refused(reply, call, tag)
        release = parse_release(Document.of(reply.document, call.what, unusable))
        if release.tag != tag:
            raise unusable(call.what, "it is about a different tag")
        return release

    def _refused(self, reply: Reply, call: Call, tag: str) -> TransientError | FlotillaError:
        if "immutable release" in reply.message:
            return ConflictError(
                f"An immutable release has used the tag name {tag}, and GitHub never allows it again.",
                advice="Release the next version; deleting the release or the tag does not free the name.",
            )
        if "already_exists" in reply.message:
            return ConflictError(
                f"A release of the tag {tag} is already published.",
                advice="Re-run the job: it compares that release's assets with its own. Delete any left-over draft.",
            )
        return self._calls.refused(reply, call)

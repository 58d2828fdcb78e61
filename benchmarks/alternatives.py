"""The programs that flotilla is measured against: where each is found, and how it is called.

- curl, unzip, tar and gzip: on the PATH.
- gh: on the PATH. It speaks plain http to github.localhost only, which http_proxy leads to the simulated GitHub.
- @actions/artifact, the client of actions/download-artifact, and pnpm: from package-lock.json, below the cache.
- softprops/action-gh-release: its `dist/index.js`, where FLOTILLA_BENCH_SOFTPROPS names it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks.family import REPOSITORY, World

from flotilla.rehearsal.node import default_cache, node, node_modules

HERE = Path(__file__).parent
TAG = "v1.0.0"
REPO = f"github.localhost/{REPOSITORY}"
AT_A_TIME = 4  # transfers of the loop over curl
DOWNLOAD = 'curl -sSfL -H "Authorization: Bearer $GITHUB_TOKEN" -o $1.zip $ARTIFACTS/$1/zip'
UNPACK = "unzip -qo $1.zip -d $1 && rm $1.zip && tar xzf $1/*.tar.gz -C $1"
READ_ONCE = "unzip -p $1.zip | tee $1.archive | sha256sum > $1.digest && gzip -dc < $1.archive > /dev/null"
UNTAR = "for each in */*.tar.gz; do tar xzf $each -C ${each%/*}; done"


def modules() -> Path:
    """Return the node_modules folder of what npm has."""
    return node_modules(default_cache(os.environ), environment=os.environ, locks=HERE)


def has_gh() -> bool:
    """Return whether gh is on the PATH."""
    return shutil.which("gh") is not None


def softprops() -> Path | None:
    """Return softprops/action-gh-release's program, if there is one here."""
    given = os.environ.get("FLOTILLA_BENCH_SOFTPROPS")
    return Path(given).resolve() if given else None


def missing() -> list[str]:
    """Return what cannot be measured here, and how to have it measured."""
    lacking = [] if has_gh() else ["gh is not on the PATH"]
    if softprops() is None:
        lacking.append("softprops/action-gh-release: set FLOTILLA_BENCH_SOFTPROPS to its dist/index.js")
    return lacking


def variables(world: World, home: Path) -> dict[str, str]:
    """Return the environment of a program that speaks to the world's GitHub."""
    api, token = world.github.origins.api, world.github.state.token
    return {
        "PATH": f"{node().parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "RUNNER_TEMP": str(home),
        "MODULES": str(modules()),
        "RUN_ID": str(world.ci_run),
        "ARTIFACTS": f"{api}/repos/{REPOSITORY}/actions/artifacts",
        "GITHUB_API_URL": api,
        "GITHUB_SERVER_URL": world.github.origins.web,
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_REF": f"refs/tags/{TAG}",
        "GITHUB_SHA": world.github.state.commit,
        "GITHUB_TOKEN": token,
    }


def for_gh(given: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of gh; without the second token it asks 127.0.0.1 for nothing but public reads."""
    token = given["GITHUB_TOKEN"]
    names = {"GH_TOKEN": token, "GH_PROMPT_DISABLED": "1", "GH_NO_UPDATE_NOTIFIER": "1"}
    return {**given, **names, "http_proxy": given["GITHUB_API_URL"]}


def gh_create(files: str) -> str:
    """Return the shell's line that has gh draft a release, upload files and publish it."""
    return f"GH_ENTERPRISE_TOKEN=$GITHUB_TOKEN gh release create {TAG} {files} --repo {REPO} --title {TAG} --notes x"


def for_softprops(given: Mapping[str, str], files: Path) -> dict[str, str]:
    """Return the environment of softprops/action-gh-release, which publishes a folder's files."""
    names = {"INPUT_FILES": f"{files}/*", "INPUT_TAG_NAME": TAG, "INPUT_TOKEN": given["GITHUB_TOKEN"]}
    return {**given, **names}


def curl_down(world: World) -> str:
    """Return curl's configuration to download every artifact at once."""
    token, root = world.github.state.token, f"{world.github.origins.api}/repos/{REPOSITORY}/actions/artifacts"
    return _curl(
        f'url = "{root}/{one.id}/zip"\noutput = "{one.id}.zip"\nlocation\noauth2-bearer = "{token}"'
        for one in world.github.state.artifacts
    )


def curl_up(world: World, upload_url: str, files: Iterable[Path]) -> str:
    """Return curl's configuration to upload every file at once."""
    headers = (
        f'oauth2-bearer = "{world.github.state.token}"\nheader = "Content-Type: application/gzip"\noutput = "/dev/null"'
    )
    return _curl(
        f'url = "{upload_url}?name={file.name}"\nrequest = "POST"\nupload-file = "{file}"\n{headers}' for file in files
    )


def curl_put(world: World, documents: Iterable[Path], token: str) -> str:
    """Return curl's configuration to publish documents, each of the package that its file is named after."""
    headers = f'oauth2-bearer = "{token}"\nheader = "Content-Type: application/json"\noutput = "/dev/null"'
    return _curl(f'url = "{world.registry.url}{file.name}"\nupload-file = "{file}"\n{headers}' for file in documents)


def _curl(transfers: Iterable[str]) -> str:
    """Return a configuration of transfers, each with the options that end with it."""
    return "\nnext\n".join(f"{one}\nfail\nsilent\nshow-error" for one in transfers)

"""The faults that other tools do not survive, one by one."""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.faults.clean import Checkpoint
from tests.faults.trial import run_until_done
from tests.simulator.faults import Kind, PlannedFault, Request
from tests.world.ended import Ended
from tests.world.jobhost import JobHost
from tests.world.scene import Scene

from flotilla.rehearsal.github import StoredAsset

pytestmark = [pytest.mark.faults, pytest.mark.npm]
Release = tuple[Checkpoint, ...]


def broken(scene: Scene, checkpoint: Checkpoint, kind: Kind, part: str, *, nth: int = 1) -> list[Ended]:
    """Break the n-th request of a job whose label, and a blank, holds a part; and run the job until it is done."""
    labels = [(r.label, r.occurrence) for r in checkpoint.requests if part in f"{r.label} "]
    label, occurrence = labels[nth - 1]
    scene.world.restore(checkpoint.before)
    scene.plan.start([PlannedFault(kind=kind, label=label, occurrence=occurrence)])
    runs = run_until_done(scene, checkpoint.step, timeout=None)
    assert runs[-1].status == 0, runs[-1].log
    return runs


def made(scene: Scene, part: str) -> list[Request]:
    return [request for request in scene.plan.requests if part in request.label]


class Removed(list[StoredAsset]):
    """A release's assets; keeps in which states some of them were when they were deleted."""

    def __init__(self, assets: list[StoredAsset]) -> None:
        super().__init__(assets)
        self.states: set[str] = set()

    def remove(self, asset: StoredAsset) -> None:
        self.states.add(asset.state)
        super().remove(asset)


def statuses(ended: Ended) -> list[str]:
    return [package["status"] for package in json.loads(ended.outputs["packages"])]


@pytest.mark.parametrize("kind", [Kind.RESET_AFTER, Kind.ERROR_503_AFTER, Kind.CONFLICT_AFTER])
def test_a_publish_that_landed_without_an_answer_is_sent_once_and_counts_as_published(
    scene: Scene, release: Release, kind: Kind
) -> None:
    runs = broken(scene, release[1], kind, "registry PUT ")
    assert len(runs) == 1
    assert statuses(runs[0]) == ["published", "published"]
    assert len(made(scene, "registry PUT ")) == 2
    assert scene.world.snapshot() == release[1].after


def test_a_job_killed_right_after_a_publish_goes_on_with_the_next_package(scene: Scene, release: Release) -> None:
    runs = broken(scene, release[1], Kind.KILL_AFTER, "registry PUT ")
    assert [run.status for run in runs] == [-9, 0]
    assert statuses(runs[1]) == ["already-published", "published"]
    assert len(made(scene, "registry PUT ")) == 2
    assert scene.world.snapshot() == release[1].after


def test_a_wait_beyond_the_deadline_stops_the_job_at_once_and_a_re_run_goes_on(scene: Scene, release: Release) -> None:
    scene.world.restore(release[1].before)
    second = [request.label for request in release[1].requests if "registry PUT " in request.label][1]
    scene.plan.start([PlannedFault(kind=Kind.TOO_MANY, label=second, retry_after=4000)])
    stopped = scene.run(release[1].step)
    assert stopped.status == 1
    assert "4000 s" in stopped.log
    assert len(made(scene, "registry PUT ")) == 2
    resumed = scene.run(release[1].step)
    assert statuses(resumed) == ["already-published", "published"]
    assert scene.world.snapshot() == release[1].after


@pytest.mark.parametrize("kind", [Kind.KILL_BEFORE, Kind.KILL_AFTER])
def test_a_job_killed_between_two_uploads_keeps_what_is_up_and_adds_the_rest(
    scene: Scene, release: Release, kind: Kind
) -> None:
    upload = [request for request in release[0].requests if "uploads POST " in f"{request.label} "][7]
    scene.world.restore(release[0].before)
    scene.plan.start([PlannedFault(kind=kind, label=upload.label, occurrence=upload.occurrence)])
    killed = scene.run(release[0].step)
    (draft,) = scene.world.github.state.releases
    draft.assets = removed = Removed(draft.assets)
    resumed = scene.run(release[0].step)
    assert (killed.status, resumed.status) == (-9, 0)
    # Several go up at once: one that the kill cut off in its middle is broken, and that alone is deleted.
    assert removed.states <= {"starter"}
    landed = Counter(request.label for request in made(scene, "uploads POST ") if request.status == 201)
    assert set(landed.values()) == {1}
    assert scene.world.snapshot() == release[0].after


def test_an_upload_that_left_a_starter_is_replaced(scene: Scene, release: Release) -> None:
    broken(scene, release[0], Kind.STARTER, "uploads POST ")
    assert len(made(scene, "DELETE")) == 1
    assert scene.world.snapshot() == release[0].after


@pytest.mark.parametrize(
    ("job", "part"), [(0, "blobs GET "), (0, "uploads POST "), (1, "blobs GET "), (1, "registry PUT ")]
)
def test_a_job_cancelled_during_a_transfer_stops_and_a_re_run_ends_as_a_clean_one(
    scene: Scene, release: Release, job: int, part: str
) -> None:
    runs = broken(scene, release[job], Kind.CANCEL, part, nth=2)
    assert [run.status for run in runs] == [1, 0], runs[0].log
    assert "cancelled" in runs[0].log
    assert scene.world.snapshot() == release[job].after


@pytest.mark.parametrize("kind", [Kind.RESET_AFTER, Kind.ERROR_503_AFTER, Kind.TRUNCATE, Kind.KILL_AFTER])
@pytest.mark.parametrize("write", ["POST /git/refs", "POST /releases", "PATCH /releases/{id}"])
def test_a_lost_answer_to_a_write_on_github_makes_no_second_tag_draft_or_release(
    scene: Scene, release: Release, write: str, kind: Kind
) -> None:
    runs = broken(scene, release[0], kind, f"github {write} ")
    assert [run.status for run in runs] == ([-9, 0] if kind is Kind.KILL_AFTER else [0])
    assert scene.world.snapshot() == release[0].after


def test_a_cut_download_goes_on_where_it_was_cut_and_no_finished_file_is_fetched_again(
    scene: Scene, release: Release
) -> None:
    runs = broken(scene, release[0], Kind.TRUNCATE, "blobs GET ", nth=4)
    assert len(runs) == 1
    fetched = [request.status for request in made(scene, "blobs GET ")]
    assert fetched.count(206) == 1
    assert len(fetched) == len(scene.family.artifacts) + 1
    assert scene.world.snapshot() == release[0].after


def test_two_jobs_that_publish_the_same_packages_at_once_publish_each_once(scene: Scene, release: Release) -> None:
    runs = raced(scene, release[1])
    assert [run.status for run in runs] == [0, 0], "\n".join(run.log for run in runs)
    assert scene.world.snapshot() == release[1].after


def test_two_releases_at_once_leave_one_release_or_say_which_draft_to_remove(scene: Scene, release: Release) -> None:
    lost = [run for run in raced(scene, release[0]) if run.status != 0]
    assert all("published meanwhile" in run.log or "delete the others" in run.log for run in lost)
    releases = scene.world.github.state.releases
    if len(releases) > 1:  # each saw the other's draft, and neither put anything into its own
        assert len(lost) == 2
        del releases[1]
    assert scene.run(release[0].step).status == 0
    assert scene.world.snapshot() == release[0].after


def test_a_draft_that_the_list_hides_from_a_re_run_is_not_released_beside_a_second_one(
    scene: Scene, release: Release
) -> None:
    scene.world.restore(release[0].before)
    listing = next(request.label for request in release[0].requests if request.label == "github GET /releases")
    scene.plan.start(
        [
            PlannedFault(kind=Kind.KILL_AFTER, label="github POST /releases"),
            PlannedFault(kind=Kind.STALE, label=listing, occurrence=5, times=4),
        ]
    )
    killed, second = scene.run(release[0].step), scene.run(release[0].step)
    assert (killed.status, second.status) == (-9, 1)
    assert "delete the others" in second.log
    assert [found["assets"] for found in scene.world.snapshot()["github"]["releases"]] == [{}, {}]
    del scene.world.github.state.releases[1]
    assert scene.run(release[0].step).status == 0
    assert scene.world.snapshot() == release[0].after


def raced(scene: Scene, checkpoint: Checkpoint) -> list[Ended]:
    """Return a job twice at the same time."""
    scene.world.restore(checkpoint.before)
    scene.plan.start()
    with JobHost(scene.folder / "clock") as other, ThreadPoolExecutor() as pool:
        return list(pool.map(lambda host: scene.run(checkpoint.step, host=host), (scene.host, other)))

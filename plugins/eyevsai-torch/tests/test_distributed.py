"""Two processes, started by torchrun, train the model that one process trains."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from making_nets import Context, build_plain, fit
from safetensors.torch import load_file

HERE = Path(__file__).parent
_OPTIONS = {
    "epochs": 3,
    "n": 70,
    "batch_size": 22,  # shares of 10 and 12 pictures
    "mixup_alpha": 0.3,
    "erase": 0.3,
    "shift": 0.2,
    "label_smoothing": 0.1,
    "class_weight": "balanced",
    "accumulate": 2,
    "clip_norm": 1.0,
}
_SCRIPT = """
import sys
from pathlib import Path
import torch
from making_nets import build_net, build_plain, fit
from eyevsai_torch.fleet import Fleet

torch.set_num_threads(1)
folder, options = Path(sys.argv[1]), eval(sys.argv[2])
rank = Fleet.from_environment().rank
for name, build, more in (("plain", build_plain, {}), ("norm", build_net, {"accumulate": 1})):
    own = folder / f"{name}-{rank}"
    own.mkdir()
    classifier, context = fit(own, build=build, **{**options, **more})
    classifier.save(own)
    (own / "reports.txt").write_text(repr([row[:2] for row in context.rows]))
again = folder / f"again-{rank}"
again.mkdir()
if rank == 0:
    (again / "checkpoint.safetensors").write_bytes((folder / "short.safetensors").read_bytes())
classifier, context = fit(again, build=build_plain, **options)
classifier.save(again)
(again / "reports.txt").write_text(repr([row[:2] for row in context.rows]))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two processes wrote, each into folders of its own."""
    place = tmp_path_factory.mktemp("two")
    (place / "script.py").write_text(_SCRIPT, encoding="utf-8")
    _checkpoint_after_two_epochs(place)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    environment = {**os.environ, "PYTHONPATH": str(HERE), "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [*torchrun, "--nproc-per-node", "2", "script.py", str(place), repr(_OPTIONS)],
        check=True,
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return place


def _checkpoint_after_two_epochs(place: Path) -> None:
    """Leave the checkpoint of a fit of one process that was killed after two epochs."""
    own = place / "short"
    own.mkdir()

    def report(_: Context, step: int, *rest: object) -> None:
        if step == 2:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Context, "report", report)
        with pytest.raises(KeyboardInterrupt):
            fit(own, build=build_plain, **_OPTIONS)  # type: ignore[arg-type]
    (own / "checkpoint.safetensors").rename(place / "short.safetensors")


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


@pytest.mark.parametrize("name", ["plain", "norm", "again"])
def test_both_processes_end_with_the_same_weights(folder: Path, name: str) -> None:
    first, second = weights(folder / f"{name}-0"), weights(folder / f"{name}-1")
    for key, value in first.items():
        assert torch.equal(second[key], value), key


@pytest.mark.parametrize("name", ["plain", "norm", "again"])
def test_the_weights_are_those_of_one_process(folder: Path, name: str, tmp_path: Path) -> None:
    """Also with batch norm: its statistics are those of both processes' pictures."""
    more = {"accumulate": 1} if name == "norm" else {"build": build_plain}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    classifier, _ = fit(tmp_path, **{**_OPTIONS, **more})  # type: ignore[arg-type]
    torch.set_num_threads(threads)
    found = weights(folder / f"{name}-0")
    for key, value in classifier.net.state_dict().items():
        torch.testing.assert_close(found[key], value, rtol=1e-4, atol=1e-5, msg=key)


def test_only_the_first_process_reports_and_saves(folder: Path) -> None:
    assert (folder / "plain-0" / "reports.txt").read_text() == "[(1, 3), (2, 3), (3, 3)]"
    assert (folder / "plain-1" / "reports.txt").read_text() == "[]"
    assert (folder / "plain-0" / "checkpoint.safetensors").is_file()
    assert not (folder / "plain-1" / "checkpoint.safetensors").exists()


def test_all_go_on_with_the_checkpoint_of_the_first(folder: Path) -> None:
    assert (folder / "again-0" / "reports.txt").read_text() == "[(2, 3), (3, 3)]"

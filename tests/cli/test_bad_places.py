"""Folders that cannot be written, disks that are full, models that are damaged or too new."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx
import pytest

from eyevsai_core.files import STAGING_PREFIX, cache_home, data_home
from eyevsai_core.model_registry import ModelRegistry
from eyevsai_core.run import RunState, list_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Command = Callable[..., Any]

WORDS = ("train", "mean", "--image-size", 32)
TESTS = Path(__file__).parents[1]


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


@contextmanager
def no_superuser() -> Iterator[None]:
    """Let the permissions of files bind this thread even if it is root's.

    On Linux root passes them by two capabilities (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH), which
    are laid down here and taken up again.
    """
    if os.geteuid() != 0:
        yield
        return
    if sys.platform != "linux":
        pytest.skip("root may write everywhere")
    libc = ctypes.CDLL(None)
    header = _Header(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted and inheritable, twice
    assert libc.capget(ctypes.byref(header), sets) == 0
    effective = sets[0]
    sets[0] &= ~0b110
    assert libc.capset(ctypes.byref(header), sets) == 0
    try:
        yield
    finally:
        sets[0] = effective
        assert libc.capset(ctypes.byref(header), sets) == 0


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o555)
    try:
        with no_superuser():
            with pytest.raises(PermissionError):
                (folder / "probe").touch()
            yield
    finally:
        folder.chmod(0o755)


@pytest.mark.parametrize("option", ["--registry", "--out"])
def test_training_into_a_read_only_folder_fails_before_the_work(
    eyevsai: Command, data: Path, tmp_path: Path, option: str
) -> None:
    folder = tmp_path / "locked"
    with read_only(folder):
        said = eyevsai(*WORDS, "--data", data, option, folder / "models")
    assert (said.code, said.out) == (1, "")
    assert f"error: the folder {str(folder / 'models')!r} must be writable, but: Per" in said.err
    assert said.err.count("\n") == 2  # and how to go on
    (run,) = list_runs()
    assert run.state is RunState.FAILED
    assert run.history() == []
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("home", [data_home, cache_home])
def test_training_with_a_read_only_home(
    eyevsai: Command, data: Path, home: Callable[[], Path]
) -> None:
    with read_only(home()):
        said = eyevsai(*WORDS, "--data", data)
    assert (said.code, said.out) == (1, "")
    assert "error: cannot write" in said.err
    assert "Permission denied" in said.err
    assert str(home()) in said.err


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize(
    "words",
    [
        ("export", "mean", "--out", "why/model.onnx"),
        ("export", "mean", "--format", "native", "--out", "why/native"),
        ("evaluate", "mean", "--data", "tiny", "--predictions", "why/answers.csv"),
        ("evaluate", "mean", "--data", "tiny", "--report", "why/report.html"),
        ("explain", "tiny/test/across/000.png", "--out", "why/heat.png"),
    ],
)
def test_results_into_a_read_only_folder(
    eyevsai: Command,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    with read_only(Path("why")):
        said = eyevsai(*words)
    assert (said.code, said.out) == (1, "")
    assert "error: cannot write" in said.err
    assert "Permission denied" in said.err
    assert list(Path("why").iterdir()) == []


def test_a_read_only_registry_can_be_used_but_not_changed(
    eyevsai: Command, model: dict[str, Any], picture: Path
) -> None:
    series = Path(model["path"]).parent
    with read_only(series):
        assert eyevsai("predict", picture).code == 0
        assert eyevsai("models", "list").code == 0
        assert eyevsai("models", "verify", "mean").code == 0
        for words in (("alias", "mean", "mine"), ("rm", "mean", "--yes")):
            said = eyevsai("models", *words)
            assert (said.code, said.out) == (1, "")
            assert said.err.startswith("error: ")
            assert "Permission denied" in said.err
    assert ModelRegistry().verify(ModelRegistry().resolve("mean/plain/tiny")) == []


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Let the system refuse every write beyond `size` bytes of a file, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_wherever_writing_fails_nothing_is_half_there(eyevsai: Command, data: Path) -> None:
    assert eyevsai(*WORDS, "--data", data).code == 0
    shutil.rmtree(cache_home())
    registry = ModelRegistry()
    ended = []
    for size in (0, 100, 1000, 4000, 20_000, 50_000, 125_000, 200_000, 10**7):
        with largest_file(size):
            said = eyevsai(*WORDS, "--data", data)
        ended.append(said.code)
        rows = registry.list_models()
        assert len(rows) == 1 + (said.code == 0)
        assert all(registry.verify(row.ref) == [] for row in rows)
        assert not list(registry.root.glob(f"{STAGING_PREFIX}*"))
        if said.code:
            assert said.out == ""
            assert "File too large" in said.err.splitlines()[-1]
            assert said.err.splitlines()[-1].startswith("error: ")
    assert ended == [1] * 8 + [0]


FAMILY = f"""
import sys
sys.path.insert(0, {str(TESTS)!r})
import mean_family
from eyevsai_core import families
info = families.FamilyInfo(name="mean", status="ready", distribution="x", family=mean_family.FAMILY)
families.list_families = lambda: (info,)
"""

FILLED = f"""{FAMILY}
from eyevsai_core.cli.main import main
from eyevsai_core.model_registry import ModelRegistry
try:
    main()
finally:
    registry = ModelRegistry()
    print([str(row.ref) for row in registry.list_models()], list(registry.root.glob(".*")))
"""


def test_a_disk_that_is_really_full(data: Path) -> None:
    models = ModelRegistry().root
    models.mkdir(parents=True)
    # In a name space of its own, the small disk is gone with the process.
    mount = f"mount -t tmpfs -o size=64k none '{models}' && exec \"$@\""
    alone = ["unshare", "--mount", "sh", "-c", mount, "sh"]
    try:
        subprocess.run([*alone, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("a small disk can be mounted only by root of Linux")
    words = [*alone, sys.executable, "-c", FILLED, *map(str, WORDS), "--data", str(data)]
    done = subprocess.run(words, capture_output=True, check=False, text=True, timeout=120)
    assert done.returncode == 1, done.stderr
    assert done.stdout == "[] []\n"
    (run,) = list_runs()
    assert run.state is RunState.FAILED
    assert done.stderr.splitlines()[0] == (
        f"once that is mended, go on with: eyevsai train --resume {run.id}"
    )
    # The second is what numpy says of it.
    assert re.search(
        r"error: .*(No space left on device|not all of it could be written).*; nothing was kept",
        done.stderr.splitlines()[1],
    )
    assert len(done.stderr.splitlines()) == 2


AT_ONCE = f"""{FAMILY}
from eyevsai_core.training import train_model
def wait(stage, done, total, metrics):
    if stage == "verify" and done == total:
        print("ready", flush=True)
        sys.stdin.readline()
print(train_model("mean", sys.argv[1], seed=int(sys.argv[2]), progress=wait).ref)
"""


def test_two_trainings_at_once_into_one_registry(data: Path) -> None:
    def begin(seed: int) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", AT_ONCE, str(data), str(seed)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    with begin(1) as one, begin(2) as other:
        for each in (one, other):
            assert each.stdout
            assert each.stdout.readline() == "ready\n"  # both are about to register
        for each in (one, other):
            assert each.stdin
            each.stdin.write("go\n")
            each.stdin.flush()
        refs = []
        for each in (one, other):
            out, err = each.communicate(timeout=120)
            assert each.returncode == 0, err
            refs.append(out.strip())
    assert sorted(refs) == ["mean/plain/tiny@1", "mean/plain/tiny@2"]
    registry = ModelRegistry()
    rows = registry.list_models()
    assert all(registry.verify(row.ref) == [] for row in rows)
    assert {str(row.ref): row.card.seed for row in rows if row.card} == dict(
        zip(refs, (1, 2), strict=True)
    )
    assert [run.state for run in list_runs()] == [RunState.OK, RunState.OK]


def change(folder: Path, **values: Any) -> None:
    path = folder / "card.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def newer_artefact(folder: Path) -> None:
    """Let the artefact alone be of a newer format, and its card know it."""
    path = folder / "model.onnx"
    graph = onnx.load_model(path)
    next(item for item in graph.metadata_props if item.key == "format_version").value = "99"
    path.chmod(0o644)
    path.write_bytes(graph.SerializeToString())
    files = json.loads((folder / "card.json").read_text())["files"]
    change(folder, files={**files, "model.onnx": hashlib.sha256(path.read_bytes()).hexdigest()})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "card.json").write_text("{"), "the model card is not JSON"),
        (lambda f: (f / "card.json").write_text(""), "the model card is not JSON"),
        (lambda f: (f / "card.json").write_bytes(b"\xff\xfe"), "cannot read the model card"),
        (lambda f: (f / "card.json").write_text("[]"), "a model card is a JSON object"),
        (lambda f: (f / "card.json").unlink(), "cannot read the model card"),
        (lambda f: change(f, classes=3), "the model card is damaged: 'classes' must be"),
        (lambda f: change(f, surprise=1), "unknown ['surprise']"),
        (lambda f: change(f, format_version=99), "newer eyevsai (card format 99, this one reads"),
        (newer_artefact, "written by a newer eyevsai (format 99, this one reads up to 1)"),
    ],
)
def test_a_model_whose_card_is_corrupt_or_whose_format_is_newer(
    eyevsai: Command,
    model: dict[str, Any],
    picture: Path,
    spoil: Callable[[Path], Any],
    message: str,
) -> None:
    folder = Path(model["path"])
    (folder / "card.json").chmod(0o644)
    spoil(folder)
    for words in (
        ("predict", picture, "--model", model["ref"]),
        ("predict", picture, "--model", folder),
        ("evaluate", model["ref"], "--data", model["data"]),
        ("explain", picture, "--model", model["ref"]),
    ):
        said = eyevsai(*words)
        assert (said.code, said.out) == (1, ""), words
        assert said.err.startswith("error: "), words
        assert message in said.err, words
        assert said.err.count("\n") == 1, words
    verified = eyevsai("models", "verify", model["ref"])
    assert verified.code == 1
    assert message in verified.out + verified.err
    assert eyevsai("models", "list").code == 0

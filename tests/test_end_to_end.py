"""A newcomer's whole path, through the installed command, in processes of its own."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest
from PIL import Image

from eyevsai_core import load_model

if TYPE_CHECKING:
    from collections.abc import Callable

    Command = Callable[..., str]

pytestmark = pytest.mark.plugin

ROOT = Path(__file__).resolve().parents[1]
EYEVSAI = Path(sys.executable).with_name("eyevsai")
LONGEST_S = 600
PAGES = ["README.md", "docs/python.md"]
FEW = {"train": 24, "test": 10}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to work in, with the documents' picture where they say it is."""
    folder = tmp_path_factory.mktemp("desk")
    shutil.copytree(ROOT / "docs" / "pictures", folder / "docs" / "pictures")
    return folder


@pytest.fixture(scope="module")
def surroundings(desk: Path) -> dict[str, str]:
    """An environment with empty homes, without a terminal and without colours."""
    homes = {"EYEVSAI_HOME": str(desk / "home"), "EYEVSAI_CACHE": str(desk / "cache")}
    return {**os.environ, **homes, "NO_COLOR": "1", "COLUMNS": "120"}


@pytest.fixture(scope="module")
def eyevsai(desk: Path, surroundings: dict[str, str]) -> Command:
    """Run the command with the words given; return what it prints, if it fails on stderr too."""

    def run(*words: object, code: int = 0) -> str:
        done = subprocess.run(
            [EYEVSAI, *map(str, words)],
            capture_output=True,
            check=False,
            cwd=desk,
            env=surroundings,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=LONGEST_S,
        )
        assert done.returncode == code, f"{words}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stdout if code == 0 else done.stdout + done.stderr

    return run


@pytest.fixture(scope="module")
def photos(test_data: Path, desk: Path) -> Path:
    """A few dozen photographs of cats and dogs, as the archive's folders have them."""
    taken: dict[str, int] = {}
    with zipfile.ZipFile(test_data / "pets_cats_dogs.zip") as archive:
        for name in sorted(archive.namelist()):
            split, label, picture = name.split("/")[-3:]
            if picture and taken.get(split + label, 0) < FEW[split]:
                taken[split + label] = taken.get(split + label, 0) + 1
                archive.extract(name, desk)
    assert sum(taken.values()) == 2 * sum(FEW.values())
    return desk / "pets_cats_dogs"


@pytest.fixture(scope="module")
def forest(eyevsai: Command, photos: Path) -> dict[str, Any]:
    """A random forest on the photographs; what `train --json` said of it."""
    words = ("shallow/rf_hog_lbp", "--data", photos, "--image-size", 64, "--name", "mine")
    return dict(json.loads(eyevsai("train", *words, "--json")))


def fenced(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def test_what_the_documents_say_works(
    eyevsai: Command, desk: Path, surroundings: dict[str, str]
) -> None:
    lines = [line for block in fenced("README.md", "sh") for line in block.splitlines()]
    commands = [shlex.split(line, comments=True) for line in lines]
    said = {
        shlex.join(words): eyevsai(*words[1:]) for words in commands if words[:1] == ["eyevsai"]
    }
    assert "rabbit" in next(text for words, text in said.items() if " predict " in words)
    assert (desk / "why.png").read_bytes().startswith(b"\x89PNG")
    assert (desk / "model.onnx").stat().st_size > 0
    for page, block in [(p, b) for p in PAGES for b in fenced(p, "python")]:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", block],
            capture_output=True,
            check=False,
            cwd=desk,
            env=surroundings,
            text=True,
            timeout=LONGEST_S,
        )
        assert done.returncode == 0, f"{page}\n{block}\n{done.stderr}"
        assert page != "README.md" or "rabbit" in done.stdout


@pytest.mark.realdata
def test_photographs_become_a_model(forest: dict[str, Any], eyevsai: Command) -> None:
    assert forest["ref"].startswith("shallow/rf_hog_lbp/pets_cats_dogs@")
    assert forest["parity"]["largest_difference"] <= forest["parity"]["tolerance"]
    report = Path(forest["report"]).read_text(encoding="utf-8")
    assert "pets_cats_dogs" in report
    assert not re.search(r"""(src|href)=["']?https?://[^"']+\.(js|css|png|woff)""", report)
    listed = json.loads(eyevsai("models", "list", "--json"))
    assert forest["ref"] in json.dumps(listed)


@pytest.mark.realdata
def test_evaluating_again_gives_the_same_figures(
    forest: dict[str, Any], eyevsai: Command, photos: Path
) -> None:
    again = json.loads(eyevsai("evaluate", forest["ref"], "--data", photos, "--json"))
    assert again["n"] == 2 * FEW["test"]
    assert again["metrics"]["accuracy"] == forest["metrics"]["test"]["accuracy"]


@pytest.mark.realdata
def test_the_exported_file_answers_alone_what_predict_says(
    forest: dict[str, Any], eyevsai: Command, photos: Path, desk: Path
) -> None:
    picture = next((photos / "test").rglob("*.jpg"))
    said = json.loads(eyevsai("predict", picture, "--model", forest["ref"], "--json"))
    eyevsai("export", forest["ref"], "--format", "onnx", "--out", "taken-away.onnx")
    session = onnxruntime.InferenceSession(desk / "taken-away.onnx")
    pixels = np.asarray(Image.open(picture).convert("RGB"))
    (rows,) = session.run(["probabilities"], {"image": pixels})
    answer = {row["label"]: row["probability"] for row in said["predictions"][0]["top"]}
    expected = [answer[label] for label in load_model(desk / "taken-away.onnx").classes]
    np.testing.assert_allclose(rows[0], expected, atol=1e-6)


@pytest.mark.realdata
def test_explain_draws_a_picture(
    forest: dict[str, Any], eyevsai: Command, photos: Path, desk: Path
) -> None:
    picture = next((photos / "test").rglob("*.jpg"))
    eyevsai("explain", picture, "--model", forest["ref"], "--out", "heat.png")
    with Image.open(desk / "heat.png") as drawn:
        assert min(drawn.size) > 0


@pytest.mark.realdata
def test_a_changed_file_is_noticed(eyevsai: Command, photos: Path) -> None:
    words = ("shallow/lr_hog_lbp", "--data", photos, "--image-size", 32, "--json")
    model = json.loads(eyevsai("train", *words))
    eyevsai("models", "verify", model["ref"])
    artefact = Path(model["path"]) / "model.onnx"
    artefact.chmod(0o644)
    content = bytearray(artefact.read_bytes())
    content[len(content) // 2] ^= 1
    artefact.write_bytes(content)
    assert "model.onnx" in eyevsai("models", "verify", model["ref"], code=1)
    picture = next((photos / "test").rglob("*.jpg"))
    assert "SHA-256" in eyevsai("predict", picture, "--model", model["ref"], code=1)


@pytest.mark.realdata
def test_a_killed_run_goes_on_and_ends_bit_equal(
    eyevsai: Command, photos: Path, desk: Path, surroundings: dict[str, str]
) -> None:
    words = ["train", "shallow/svm_hog_lbp", "--data", str(photos), "--image-size", "48"]
    runs = desk / "home" / "runs"
    before = {path.name for path in runs.glob("*")}
    victim = subprocess.Popen(
        [EYEVSAI, *words], cwd=desk, env=surroundings, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + LONGEST_S
    histories: list[Path] = []
    while not any(path.read_text().count("\n") >= 2 for path in histories):
        assert time.monotonic() < deadline
        try:
            # Waiting for the child rather than sleeping: if it ends early, we see it at once.
            victim.wait(timeout=0.01)
            pytest.fail(f"the run ended before it could be killed: {victim.communicate()[1]}")
        except subprocess.TimeoutExpired:
            histories = [p for p in runs.glob("*/history.jsonl") if p.parent.name not in before]
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    run = histories[0].parent.name
    rows = {row["run"]: row for row in json.loads(eyevsai("runs", "list", "--json"))["runs"]}
    assert rows[run]["state"] == "killed"
    resumed = json.loads(eyevsai("train", "--resume", run, "--json"))
    straight = json.loads(eyevsai(*words, "--json"))
    assert resumed["ref"] != straight["ref"]
    pictures = sorted((photos / "test").rglob("*.jpg"))
    first, second = (load_model(model["path"]) for model in (resumed, straight))
    np.testing.assert_array_equal(first.predict_proba(pictures), second.predict_proba(pictures))
    assert resumed["metrics"] == straight["metrics"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["train", "shalow", "--data", "doodles"], 1, "Did you mean 'shallow'?"),
        (["train", "shallow", "--data", "nowhere"], 1, "nowhere"),
        (["train", "shallow", "--data", "doodles", "--image-size", "7"], 2, "8..1024"),
        (["predict", "nothing.png"], 1, "nothing.png"),
        (["trian"], 2, "train"),
    ],
    ids=["family", "data", "range", "picture", "command"],
)
def test_mistakes_get_one_helpful_line(
    eyevsai: Command, words: list[str], code: int, said: str
) -> None:
    assert said in eyevsai(*words, code=code)

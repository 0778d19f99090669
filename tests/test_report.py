from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from making import make_card
from PIL import Image

from eyevsai_core import report
from eyevsai_core.evaluation import Evaluation
from eyevsai_core.report import METRIC_NAMES, render_report

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(1)'>",
    "{{ 7 * 7 }}{% raw %}",
    "a" * 300,
    "ünïcödé مرحبا",
    "zero\x00 lone\udcff",
)
VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """Collects tags, attributes and texts, and insists that tags are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def make_evaluation(
    classes: tuple[str, ...] = ("red", "green", "blue"), n: int = 30, **changes: Any
) -> Evaluation:
    dice = np.random.default_rng(0)
    labels = dice.integers(0, len(classes), n)
    rows = dice.dirichlet(np.ones(len(classes)), n)
    rows[np.arange(n), labels] += 0.3
    evaluation = Evaluation(
        dataset="paint",
        split="test",
        classes=classes,
        labels=labels,
        probabilities=(rows / rows.sum(axis=1, keepdims=True)).astype(np.float32),
        paths=tuple(f"/nowhere/{k}.png" for k in range(n)),
    )
    return replace(evaluation, **changes)


def render(evaluation: Evaluation, **changes: Any) -> Page:
    n = len(evaluation.labels)
    options = {
        "card": make_card(),
        "history": [],
        "pixels": np.random.default_rng(0).integers(0, 256, (n, 8, 8, 3), dtype=np.uint8),
        **changes,
    }
    return Page(render_report(evaluation=evaluation, **options))


def pictures(page: Page) -> list[Image.Image]:
    sources = [attrs["src"] or "" for attrs in page.all("img")]
    return [Image.open(io.BytesIO(base64.b64decode(src.split(",")[1]))) for src in sources]


def test_the_page_has_every_part() -> None:
    evaluation = make_evaluation()
    page = render(evaluation, command="eyevsai train test/colours --data 'my pictures'")
    for part in (
        "test/colours on paint",
        "pictures that the model never learned from",
        "Which classes are taken for which",
        "Most frequent mix-ups",
        "Does it know how sure it is?",
        "Class by class",
        "The most confident mistakes",
        "Some that it got right",
        "eyevsai train test/colours --data 'my pictures'",
    ):
        assert part in page.text
    for name in evaluation.metrics:
        assert METRIC_NAMES[name][1] in page.text
    accuracy = evaluation.metrics["accuracy"]
    assert f"{accuracy.value:.1%}".replace("%", "\N{NO-BREAK SPACE}%") in page.text


def test_one_file_that_loads_nothing_and_runs_nothing() -> None:
    page = render(make_evaluation())
    assert not {"script", "link", "iframe", "object", "form"} & {tag for tag, _ in page.tags}
    for _, attrs in page.tags:
        assert not [name for name in attrs if name.startswith("on")]
        assert (attrs.get("src") or "data:image/").startswith("data:image/")
        assert (attrs.get("href") or "#").startswith("#")
    policy = [each["content"] for each in page.all("meta") if "http-equiv" in each]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]


def test_links_within_the_page_lead_somewhere() -> None:
    history = [{"step": 1, "metrics": {"train_loss": 1.0}}]
    page = render(make_evaluation(), history=history)
    targets = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    assert {str(each["href"]).removeprefix("#") for each in page.all("a")} <= targets


def test_names_are_data() -> None:
    evaluation = make_evaluation(HOSTILE, 120, dataset=HOSTILE[0])
    card = make_card(
        plain=HOSTILE[0],
        ref=HOSTILE[1],
        limits=HOSTILE[1],
        dataset={"name": HOSTILE[0], "attribution": HOSTILE[1], "counts": {"train": HOSTILE[0]}},
        config={HOSTILE[0]: HOSTILE[1]},
    )
    row = {"validation_accuracy": 0.5, HOSTILE[0]: HOSTILE[1]}
    page = render(evaluation, card=card, command=HOSTILE[0], history=[{"metrics": row}])
    assert not page.all("script")
    assert all((each["src"] or "").startswith("data:") for each in page.all("img"))
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    assert HOSTILE[0] in page.text
    assert "{{ 7 * 7 }}" in page.text


def test_every_picture_has_words_for_those_who_do_not_see_it() -> None:
    page = render(make_evaluation())
    assert page.all("img")
    assert all(each.get("alt") for each in page.all("img"))
    assert all(each.get("aria-label") for each in page.all("svg"))
    assert page.all("html") == [{"lang": "en"}]


def test_mistakes_are_the_surest_first() -> None:
    evaluation = make_evaluation(n=200)
    page = render(evaluation)
    first = evaluation.mistakes(1)[0]
    truth = evaluation.classes[evaluation.labels[first]]
    answer = evaluation.classes[evaluation.predicted[first]]
    assert page.all("img")[0]["alt"] == f"{truth}, taken for {answer}"
    assert len(page.all("img")) == 24 + 12


def test_pictures_are_shown_as_people_know_them(tmp_path: Path) -> None:
    evaluation = make_evaluation(n=4)
    paths = tuple(str(tmp_path / f"{k}.png") for k in range(4))
    for path in paths:
        Image.new("RGB", (400, 200), (200, 30, 30)).save(path)
    for picture in pictures(render(replace(evaluation, paths=paths))):
        assert picture.size == (176, 88)
        assert np.abs(np.asarray(picture.convert("RGB"))[40, 80] - [200.0, 30, 30]).max() < 8


def test_pictures_that_are_gone_damaged_or_huge_are_shown_as_the_model_saw_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "_LARGEST_PICTURE", 999)
    (tmp_path / "damaged.png").write_bytes(b"\x89PNG")
    Image.new("RGB", (100, 10)).save(tmp_path / "huge.png")
    paths = tuple(str(tmp_path / f"{name}.png") for name in ("gone", "damaged", "huge"))
    page = render(make_evaluation(n=3, paths=paths))
    assert [picture.size for picture in pictures(page)] == [(8, 8)] * 3
    assert all(each["class"] == "tiny" for each in page.all("img"))


def test_photographs_are_small() -> None:
    dice = np.random.default_rng(0)
    smooth = Image.fromarray(dice.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize((128, 128))
    evaluation = make_evaluation(n=60)
    text = render_report(
        card=make_card(),
        evaluation=evaluation,
        history=[],
        pixels=np.stack([np.asarray(smooth)] * 60),
    )
    assert "data:image/jpeg" in text
    assert len(text) < 300_000


def test_epochs_are_drawn_and_candidates_are_listed() -> None:
    evaluation = make_evaluation()
    curves = render(evaluation, history=[{"step": 1, "metrics": {"train_loss": 1.0}}])
    assert "Learning curves" in curves.text
    rows = [
        {"metrics": {"validation_accuracy": a, "max_depth": d}} for a, d in ((0.5, 3), (0.7, 9))
    ]
    grid = render(evaluation, history=rows)
    assert "What was tried" in grid.text
    assert re.search(r"max depth.*9.*70\.0.*3.*50\.0", grid.text, re.DOTALL)
    nothing = render(evaluation)
    assert "Learning curves" not in nothing.text
    assert "What was tried" not in nothing.text


def test_candidates_with_different_options_share_a_table() -> None:
    rows = [
        {"metrics": {"validation_accuracy": 0.5, "c": 1.0}},
        {"metrics": {"validation_accuracy": 0.6, "gamma": 2.0}},
    ]
    assert "\N{EN DASH}" in render(make_evaluation(), history=rows).text
    many = [{"metrics": {"validation_accuracy": 0.5, "c": float(k)}} for k in range(70)]
    assert "10 more, all below these." in render(make_evaluation(), history=many).text


def test_every_answer_right() -> None:
    evaluation = make_evaluation(n=9)
    perfect = replace(evaluation, probabilities=np.eye(3, dtype=np.float32)[evaluation.labels])
    page = render(perfect)
    assert "There are none: every answer was right." in page.text
    assert "none: every answer was right" in page.text


def test_every_answer_wrong() -> None:
    evaluation = make_evaluation(n=9)
    wrong = np.eye(3, dtype=np.float32)[(evaluation.labels + 1) % 3]
    page = render(replace(evaluation, probabilities=wrong))
    assert "Some that it got right" not in page.text
    assert "Too sure of its answers" in page.text


def test_one_picture_of_one_of_the_classes() -> None:
    evaluation = make_evaluation(n=1)
    page = render(evaluation)
    assert "Best at" not in page.text
    assert "\N{EN DASH}" in page.text  # recall of classes without a picture


def test_two_hundred_classes_stay_readable() -> None:
    classes = tuple(f"class {k:03d}" for k in range(200))
    evaluation = make_evaluation(classes, 2000)
    page = render(evaluation)
    assert len(page.all("details")) == 1
    assert "The other 188 classes" in page.text
    assert all(name in page.text for name in classes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "that the model never learned from"),
        ({"dataset": "other"}, "of a data set of its own"),
        ({"dataset": "other", "split": "train"}, "of a data set of its own"),
        ({"split": "train"}, "that the model learned from: these figures flatter it"),
        ({"split": "validation"}, "by which the model's options were chosen"),
        ({"split": "calibration"}, "by which its confidence was set"),
        ({"split": "all"}, "among them those that it learned from"),
    ],
)
def test_the_page_says_whether_the_model_knew_the_pictures(
    changes: dict[str, str], words: str
) -> None:
    assert words in render(make_evaluation(**changes)).text


def test_a_card_of_another_maker_may_lack_almost_everything() -> None:
    card = make_card(dataset={}, parity={}, machine={}, versions={}, calibration={}, config={})
    page = render(make_evaluation(), card=card)
    assert "test/colours on ?" in page.text


def test_the_registered_name_is_the_title() -> None:
    page = render(make_evaluation(), card=make_card(ref="test/colours/paint@7"))
    assert page.text.count("test/colours/paint@7") == 2


def test_the_same_input_makes_the_same_page() -> None:
    evaluation = make_evaluation()
    options = {
        "card": make_card(),
        "evaluation": evaluation,
        "history": [],
        "pixels": np.zeros((30, 8, 8, 3), np.uint8),
    }
    assert render_report(**options) == render_report(**options)

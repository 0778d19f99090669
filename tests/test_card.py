from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from making import accuracy, make_card

from eyevsai_core import card as card_module
from eyevsai_core.card import CARD_FORMAT, ModelCard
from eyevsai_core.errors import ModelCorruptError

TEXT = make_card().to_json()
DIGEST = "7d86807d9ab6ab6bab40075e2d2916f2594abdd4d785a86049338c7af0bec248"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    # A half of a surrogate pair is no text: it cannot be written.
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


def changed(**values: Any) -> str:
    """Return the JSON of a complete card with other values."""
    return json.dumps({**json.loads(TEXT), **values})


class TestRoundTrip:
    def test_what_was_written_is_read(self) -> None:
        card = make_card(
            classes=("Ärger", "日本", ""),
            metrics=accuracy(0.5),
            ref="test/colours/paint@1",
            files={"model.onnx": "0" * 64},
            duration_s=1e-9,
        )
        assert ModelCard.from_json(card.to_json()) == card

    @given(st.dictionaries(st.text("xyz"), JSON, max_size=4), st.floats(0, 1e300))
    def test_any_plain_values_keep_their_value(self, config: dict[str, Any], took: float) -> None:
        card = make_card(config=config, duration_s=took)
        again = ModelCard.from_json(card.to_json())
        assert again == card
        assert again.digest == card.digest

    def test_the_json_is_sorted_and_keeps_letters(self) -> None:
        text = make_card(classes=("Ärger", "Zorn")).to_json()
        assert "Ärger" in text
        assert list(json.loads(text)) == sorted(json.loads(text))

    def test_a_dict_is_of_plain_values(self) -> None:
        values = make_card().to_dict()
        assert values["classes"] == ["red", "green", "blue"]
        assert set(values) == {item.name for item in dataclasses.fields(ModelCard)}

    def test_what_has_a_default_may_be_left_out(self) -> None:
        values = json.loads(TEXT)
        for name in ("summary", "plain", "name", "ref", "files", "format_version"):
            del values[name]
        card = ModelCard.from_json(json.dumps(values))
        assert (card.name, card.files, card.format_version) == ("", {}, CARD_FORMAT)

    def test_a_whole_number_of_seconds_is_a_number(self) -> None:
        assert ModelCard.from_json(changed(duration_s=3)).duration_s == 3

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
    def test_what_is_no_number_is_not_written(self, value: float) -> None:
        with pytest.raises(ValueError, match="not JSON compliant"):
            make_card(duration_s=value).to_json()

    def test_a_card_cannot_be_changed(self) -> None:
        with pytest.raises(dataclasses.FrozenInstanceError):
            make_card().seed = 1  # type: ignore[misc]


class TestDigest:
    def test_it_is_the_same_wherever_it_is_computed(self) -> None:
        # Artefacts carry this number: another way to compute it would call them all damaged.
        assert make_card().digest == DIGEST

    def test_the_order_of_keys_has_no_say(self) -> None:
        one, other = {"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1}
        assert make_card(config=one).digest == make_card(config=other).digest

    def test_what_is_known_only_afterwards_has_no_say(self) -> None:
        late = make_card(files={"model.onnx": "0" * 64}, ref="test/colours/paint@7")
        assert late.digest == make_card().digest

    @pytest.mark.parametrize(
        "change",
        [
            {"seed": 1},
            {"classes": ("green", "red", "blue")},
            {"metrics": accuracy(0.5)},
            {"limits": "none"},
            {"duration_s": 1.0000000000000002},
        ],
    )
    def test_everything_else_has(self, change: dict[str, Any]) -> None:
        assert make_card(**change).digest != make_card().digest


class TestDamaged:
    @pytest.mark.parametrize("text", ["", "{", TEXT[:-1], "card", "\x00"])
    def test_not_json(self, text: str) -> None:
        with pytest.raises(ModelCorruptError, match=r"the model card is not JSON: ") as caught:
            ModelCard.from_json(text)
        assert isinstance(caught.value.__cause__, ValueError)

    @pytest.mark.parametrize("opening", ["[", '{"config":'])
    def test_nested_too_deep(self, opening: str) -> None:
        with pytest.raises(ModelCorruptError, match=r"the model card is not JSON: .*recursion"):
            ModelCard.from_json(opening * 200_000)

    @pytest.mark.parametrize("text", ["[]", "null", "5", '"card"', f"[{TEXT}]"])
    def test_not_an_object(self, text: str) -> None:
        with pytest.raises(ModelCorruptError, match="is a JSON object, but got") as caught:
            ModelCard.from_json(text)
        assert repr(text[:60]) in str(caught.value)

    @pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
    def test_what_is_no_number(self, value: str) -> None:
        text = TEXT.replace('"duration_s": 1.0', f'"duration_s": {value}')
        assert text != TEXT
        with pytest.raises(ModelCorruptError, match=r"the model card is not JSON: .*compliant"):
            ModelCard.from_json(text)

    def test_what_is_no_text(self) -> None:
        with pytest.raises(ModelCorruptError, match=r"the model card is not JSON: .*surrogates"):
            ModelCard.from_json(TEXT.replace("mean colours", "\\ud800"))

    def test_written_by_a_newer_eyevsai(self) -> None:
        # Also when it has fields that this one does not know and lacks others.
        message = (
            rf"newer eyevsai \(card format {CARD_FORMAT + 1}, this one reads up to {CARD_FORMAT}\)"
            "; run: pip install --upgrade eyevsai-core"
        )
        for text in (
            changed(format_version=CARD_FORMAT + 1),
            json.dumps({"format_version": CARD_FORMAT + 1, "colour": "blue"}),
        ):
            with pytest.raises(ModelCorruptError, match=message):
                ModelCard.from_json(text)

    def test_missing_fields_are_named(self) -> None:
        values = json.loads(TEXT)
        del values["seed"], values["classes"]
        with pytest.raises(ModelCorruptError, match=r"missing \['classes', 'seed'\], unknown \[\]"):
            ModelCard.from_json(json.dumps(values))

    def test_unknown_fields_are_named_five_at_most(self) -> None:
        text = changed(**{f"x{i}": 1 for i in range(7)})
        with pytest.raises(
            ModelCorruptError,
            match=r"missing \[\], unknown \['x0', 'x1', 'x2', 'x3', 'x4'\]$",
        ):
            ModelCard.from_json(text)

    @pytest.mark.parametrize(
        ("name", "value", "kind"),
        [
            ("family", 5, "str"),
            ("family", None, "str"),
            ("classes", "cat", "tuple"),
            ("classes", {"cat": 1}, "tuple"),
            ("image_size", 8.0, "int"),
            ("image_size", True, "int"),
            ("seed", False, "int"),
            ("duration_s", True, "float"),
            ("duration_s", "1", "float"),
            ("config", [], "dict"),
            ("files", None, "dict"),
            ("format_version", "1", "int"),
        ],
    )
    def test_a_value_of_another_kind(self, name: str, value: Any, kind: str) -> None:
        with pytest.raises(ModelCorruptError) as caught:
            ModelCard.from_json(changed(**{name: value}))
        assert str(caught.value) == (
            f"the model card is damaged: {name!r} must be {kind}, is {value!r}"
        )

    def test_a_long_value_is_cut(self) -> None:
        with pytest.raises(ModelCorruptError) as caught:
            ModelCard.from_json(changed(seed="9" * 10_000))
        assert len(str(caught.value)) < 150

    @pytest.mark.parametrize("classes", [[1, 2], ["cat", None], [["cat"]]])
    def test_classes_that_are_no_texts(self, classes: list[Any]) -> None:
        with pytest.raises(ModelCorruptError, match="'classes' must be texts"):
            ModelCard.from_json(changed(classes=classes))

    @pytest.mark.parametrize(
        "metrics",
        [
            {"test": 5},
            {"test": {"accuracy": 0.5}},
            {"test": {"accuracy": {"value": 0.5, "low": 0.4, "high": 0.6}}},
            {"test": {"accuracy": {"value": "0.5", "low": 0.4, "high": 0.6, "n": 3}}},
            {**accuracy(0.5), "validation": []},
        ],
    )
    def test_metrics_that_are_no_metrics(self, metrics: dict[str, Any]) -> None:
        message = r"'metrics' must be \{split: \{metric: \{value, low, high, n\}\}\}"
        with pytest.raises(ModelCorruptError, match=message):
            ModelCard.from_json(changed(metrics=metrics))

    def test_counts_that_are_no_counts(self) -> None:
        with pytest.raises(ModelCorruptError, match=r"'counts' must be \{split: pictures\}"):
            ModelCard.from_json(changed(dataset={"name": "paint", "counts": 5}))


class TestFile:
    def test_read(self, tmp_path: Path) -> None:
        path = tmp_path / "card.json"
        card = make_card(classes=("Ärger", "日本"))
        path.write_text(card.to_json(), encoding="utf-8")
        assert ModelCard.read(path) == card

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(ModelCorruptError, match=r"cannot read the model card .*no\.json'"):
            ModelCard.read(tmp_path / "no.json")

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ModelCorruptError, match="cannot read the model card"):
            ModelCard.read(tmp_path)

    def test_not_utf_8(self, tmp_path: Path) -> None:
        path = tmp_path / "card.json"
        path.write_bytes(b'{"family": "\xff"}')
        with pytest.raises(ModelCorruptError, match=r"cannot read the model card .*utf-8"):
            ModelCard.read(path)

    def test_larger_than_64_mib_is_refused_unread(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "card.json"
        with path.open("wb") as file:
            file.truncate(card_module._MAX_BYTES + 1)  # sparse: it takes no room
        with monkeypatch.context() as patch:
            patch.setattr(Path, "read_text", lambda *_, **__: pytest.fail("it is read"))
            with pytest.raises(ModelCorruptError, match=r"card\.json' is larger than 64 MiB$"):
                ModelCard.read(path)

    def test_the_limit_itself_is_allowed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "card.json"
        path.write_text(TEXT, encoding="utf-8")
        monkeypatch.setattr(card_module, "_MAX_BYTES", path.stat().st_size)
        assert ModelCard.read(path) == make_card()


class TestMarkdown:
    def test_a_page(self) -> None:
        lines = (
            make_card(
                ref="test/colours/paint@3",
                metrics=accuracy(0.25),
                intended_use="Telling paints apart.",
                limits="Knows three.",
            )
            .to_markdown()
            .splitlines()
        )
        assert lines[0] == "# test/colours/paint@3"
        assert "Looks which colour there is most of." in lines
        assert "*Technically:* mean colours." in lines
        assert "- **Data:** paint (6 train, 3 calibration, 3 test)" in lines
        assert "- **Licence of the data:** CC0" in lines
        assert "- **Attribution:** none" in lines
        assert "- **Classes:** red, green, blue" in lines
        assert "- **Input:** any RGB picture, looked at in 8 x 8" in lines
        assert "- **Intended use:** Telling paints apart." in lines
        assert "- **Limits:** Knows three." in lines
        assert lines[-1] == "| accuracy | 0.2500 | 0.2500 to 0.2500 | 3 |"

    def test_a_card_that_knows_little(self) -> None:
        page = make_card(dataset={"name": "paint"}).to_markdown()
        assert page.startswith("# test/colours\n")
        assert "- **Data:** paint ()" in page
        assert "- **Licence of the data:** not stated" in page
        assert page.rstrip().endswith("|---|---|---|---|")

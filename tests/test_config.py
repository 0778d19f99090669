from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eyevsai_core.config import OptionSpec, Search, TrainConfig, option
from eyevsai_core.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Config(TrainConfig):
    """An option of each kind."""

    rate: float = option(0.1, help="step", low=0, high=1, search=Search(low=1e-5, log=True))
    depth: int = option(3, help="how deep", low=1, unit="layers")
    drop: float = option(0.5, help="how much", high=0.9)
    kernel: str = option("rbf", help="kind", choices=("linear", "rbf"))
    flip: bool = option(True, help="mirror")
    note: str = option("", help="anything")
    limit: float | None = option(None, help="at most")
    free: float = option(0.0, help="any")


SPECS = {spec.name: spec for spec in Config.options()}


class TestOptions:
    def test_they_are_read_from_the_fields_in_their_order(self) -> None:
        assert list(SPECS)[:4] == ["seed", "image_size", "rate", "depth"]
        assert SPECS["rate"].search == Search(low=1e-5, log=True)
        assert (SPECS["depth"].type, SPECS["depth"].default, SPECS["depth"].unit) == (
            int,
            3,
            "layers",
        )
        assert SPECS["limit"].optional
        assert not SPECS["rate"].optional
        assert SPECS["image_size"].flag == "--image-size"

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("rate", "0..1"),
            ("depth", "at least 1"),
            ("drop", "at most 0.9"),
            ("kernel", "one of linear, rbf"),
            ("flip", "true or false"),
            ("note", "text"),
            ("free", "any number"),
            ("limit", "any number, or none"),
            ("image_size", "8..1024, or none"),
        ],
    )
    def test_the_range_in_words(self, name: str, text: str) -> None:
        assert SPECS[name].range_text == text

    def test_none_is_optional_however_it_is_written(self) -> None:
        @dataclass(frozen=True, kw_only=True)
        class Old(TrainConfig):
            size: Optional[int] = option(None, help="size")  # noqa: UP045  the older spelling

        spec = {spec.name: spec for spec in Old.options()}["size"]
        assert (spec.type, spec.optional) == (int, True)

    @pytest.mark.parametrize("kind", [list[int], int | str, dict, None, tuple[int, None]])
    def test_other_annotations_are_refused(self, kind: Any) -> None:
        made = dataclasses.make_dataclass("Made", [("size", kind, option(1, help="s"))])
        with pytest.raises(ConfigError, match="'size' must be annotated bool, int, float or str"):
            TrainConfig.options.__func__(made)

    def test_a_field_without_a_description(self) -> None:
        @dataclass(frozen=True, kw_only=True)
        class Bare(TrainConfig):
            size: int = 3

        spec = {spec.name: spec for spec in Bare.options()}["size"]
        assert (spec.help, spec.low, spec.choices, spec.search) == ("", None, (), None)


class TestCheck:
    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("depth", 0, r"option 'depth' must be int layers \(at least 1\), but got 0\.$"),
            ("depth", 2.0, r"must be int layers .*, but got 2\.0\.$"),
            ("depth", True, "but got True"),
            ("depth", None, "but got None"),
            ("rate", 1.01, r"option 'rate' must be float \(0\.\.1\), but got 1\.01\.$"),
            ("rate", -1, "but got -1"),
            ("rate", float("nan"), "but got nan"),
            ("free", float("nan"), "but got nan"),
            ("free", float("inf"), "but got inf"),
            ("drop", 0.91, r"at most 0\.9"),
            ("flip", 1, "must be bool"),
            ("note", 1, "must be str"),
            ("kernel", "rfb", r"but got 'rfb'\. Did you mean 'rbf'\?$"),
            ("kernel", "x", r"but got 'x'\.$"),
        ],
    )
    def test_what_is_refused(self, name: str, value: Any, message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            Config(**{name: value})

    @pytest.mark.parametrize(
        ("name", "value"),
        [("rate", 0), ("rate", 1), ("depth", 1), ("drop", -1e300), ("limit", None), ("limit", 2)],
    )
    def test_what_is_taken(self, name: str, value: Any) -> None:
        assert getattr(Config(**{name: value}), name) == value


class TestParse:
    @pytest.mark.parametrize(
        ("name", "text", "value"),
        [
            ("rate", "1e-3", 0.001),
            ("depth", " 7 ", 7),
            ("flip", "ON", True),
            ("flip", "no", False),
            ("note", " as it is ", " as it is "),
            ("note", "none", "none"),
            ("limit", "None", None),
            ("image_size", "auto", None),
            ("image_size", "", None),
            ("kernel", "linear", "linear"),
        ],
    )
    def test_what_was_typed(self, name: str, text: str, value: Any) -> None:
        assert SPECS[name].parse(text) == value

    @pytest.mark.parametrize(
        ("name", "text"),
        [("depth", "3.5"), ("depth", "none"), ("rate", "fast"), ("flip", "maybe"), ("rate", "nan")],
    )
    def test_what_is_not_understood(self, name: str, text: str) -> None:
        with pytest.raises(ConfigError, match=f"option '{name}' must be .*, but got "):
            SPECS[name].parse(text)

    @given(st.sampled_from(list(SPECS.values())), st.text())
    def test_any_text_is_a_good_value_or_an_error(self, spec: OptionSpec, text: str) -> None:
        try:
            value = spec.parse(text)
        except ConfigError:
            return
        spec.check(value)

    def test_pairs(self) -> None:
        pairs = [("image-size", "64"), ("rate", "0.5"), ("rate", "0.25")]
        assert Config.parse_options(pairs) == {"image_size": 64, "rate": 0.25}
        with pytest.raises(
            ConfigError, match=r"unknown option 'image-sise'; known: seed, .*'image_"
        ):
            Config.parse_options([("image-sise", "64")])


class TestDict:
    def test_there_and_back(self) -> None:
        config = Config(rate=0.3, image_size=64)
        assert Config.from_dict(config.to_dict()) == config

    def test_unknown_names_are_refused_with_a_suggestion(self) -> None:
        with pytest.raises(ConfigError, match=r"unknown option 'dept'; .* Did you mean 'depth'\?"):
            Config.from_dict({"dept": 3})

    def test_values_are_checked(self) -> None:
        with pytest.raises(ConfigError, match="option 'depth' must be"):
            Config.from_dict({"depth": "3"})

    def test_replace_checks_too(self) -> None:
        config = Config()
        assert config.replace(depth=5).depth == 5
        assert config.depth == 3
        with pytest.raises(ConfigError, match="'depth'"):
            config.replace(depth=0)


class TestToml:
    def read(self, tmp_path: Path, content: bytes) -> dict[str, Any]:
        (tmp_path / "a.toml").write_bytes(content)
        return Config.read_toml(tmp_path / "a.toml")

    def test_values(self, tmp_path: Path) -> None:
        text = b'depth = 5\nflip = false\nimage_size = "auto"\nlimit = "none"\nnote = "none"\n'
        assert self.read(tmp_path, text) == {
            "depth": 5,
            "flip": False,
            "image_size": None,
            "limit": None,
            "note": "none",
        }

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"depth = ", r"config file '.*a\.toml' is not valid TOML: "),
            (b'note = "\xff"', r"config file '.*a\.toml' is not valid TOML: .*utf-8"),
            (b"dept = 3", r"unknown option 'dept'"),
            (b"depth = 0", "'depth' must be"),
            (b'depth = "none"', "'depth' must be"),
            (b"[depth]\nof = 1", "'depth' must be"),
        ],
    )
    def test_mistakes(self, tmp_path: Path, content: bytes, message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            self.read(tmp_path, content)

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(
            ConfigError, match=r"cannot read config file '.*no\.toml': No such file"
        ):
            Config.read_toml(tmp_path / "no.toml")

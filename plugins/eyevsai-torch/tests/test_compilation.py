from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from making_nets import CPU, Context, Net, data, fit

from eyevsai_torch.compilation import compiled

if TYPE_CHECKING:
    from pathlib import Path


# PyTorch's compiler looks at gradients that it does not have, and hides the warning unless
# warnings are errors.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")
def test_a_compiled_net_learns_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled without code generation, which takes half a minute; all else is as with it."""
    plain = torch.compile
    monkeypatch.setattr(
        torch, "compile", lambda net, **options: plain(net, backend="aot_eager", **options)
    )
    found = []
    for name, wanted in (("eager", False), ("compiled", True)):
        (tmp_path / name).mkdir()
        classifier, context = fit(tmp_path / name, compile=wanted)
        assert context.notes == []
        found.append(classifier.predict_scores(data(10, seed=5).images))
    np.testing.assert_allclose(found[1], found[0], atol=1e-4)


def test_what_cannot_be_compiled_runs_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(net: torch.nn.Module, **_: object) -> torch.nn.Module:
        class Broken(torch.nn.Module):
            def forward(self, pixels: torch.Tensor) -> torch.Tensor:
                raise RuntimeError("no working C++ compiler\nand more")

        return Broken()

    monkeypatch.setattr(torch, "compile", fails)
    classifier, context = fit(tmp_path, compile=True)
    assert context.notes == [
        "not compiled, which changes speed only: RuntimeError: no working C++ compiler"
    ]
    assert np.isfinite(classifier.predict_scores(data(4).images)).all()


def test_what_computes_something_else_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Wrong(torch.nn.Module):
        def __init__(self, net: torch.nn.Module) -> None:
            super().__init__()
            self.net = net

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            scores: torch.Tensor = self.net(pixels) * torch.nan
            return scores

    monkeypatch.setattr(torch, "compile", lambda net, **_: Wrong(net))
    classifier, context = fit(tmp_path, compile=True)
    assert "its scores differ by nan from those of the net" in context.notes[0]
    assert np.isfinite(classifier.predict_scores(data(4).images)).all()


def test_gradients_that_are_no_numbers_are_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It happened: a compiled maximum rounded otherwise than the one it was compared with."""

    class Rough(torch.nn.Module):
        def __init__(self, net: torch.nn.Module) -> None:
            super().__init__()
            self.net = net

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            scores: torch.Tensor = self.net(pixels)
            scores.register_hook(lambda gradient: gradient * torch.nan)
            return scores

    monkeypatch.setattr(torch, "compile", lambda net, **_: Rough(net))
    classifier, context = fit(tmp_path, compile=True)
    assert "its gradients are not numbers" in context.notes[0]
    assert np.isfinite(classifier.predict_scores(data(4).images)).all()


def test_compiling_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda net, **_: net)
    net = Net(2)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    compiled(net, CPU, (4, 3, 16, 16), Context(tmp_path))
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert all(weight.grad is None for weight in net.parameters())

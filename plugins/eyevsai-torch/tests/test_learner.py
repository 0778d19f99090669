from __future__ import annotations

import copy

import pytest
import torch
from making_nets import CPU, Net, data, make_learner, weights

from eyevsai_core.errors import RunError
from eyevsai_torch import learner as module
from eyevsai_torch.config import TorchConfig
from eyevsai_torch.learner import Batch, Learner
from eyevsai_torch.normalise import NormalisedNet

RANDOM = {"flip": True, "shift": 0.2, "rotate": 20.0, "colour": 0.3, "erase": 0.5, "dropout": 0.4}


def batch(n: int = 16, step: int = 0) -> Batch:
    made = data(n, seed=step)
    return Batch(torch.from_numpy(made.images), torch.from_numpy(made.labels), 0, step)


def gradients(learner: Learner, work: Batch) -> dict[str, torch.Tensor]:
    """What a step would follow."""
    learner._accumulate(work)
    return {
        name: weight.grad.clone()
        for name, weight in learner.net.named_parameters()
        if weight.grad is not None
    }


@pytest.mark.parametrize("n", [15, 16])
@pytest.mark.parametrize("parts", [2, 3, 5, 16])
@pytest.mark.parametrize("class_weight", [False, True])
def test_accumulation_has_the_gradient_of_the_large_batch(
    n: int, parts: int, *, class_weight: bool
) -> None:
    """Without batch norm, whose statistics are those of a part, nothing depends on the parts."""
    options = {**RANDOM, "mixup_alpha": 0.4, "label_smoothing": 0.1}
    whole = make_learner(norm=False, **options)
    cut = make_learner(norm=False, accumulate=parts, **options)
    if class_weight:
        for learner in (whole, cut):
            learner.class_weights = learner._weights_there = torch.tensor([0.25, 3.0])
    expected, found = gradients(whole, batch(n)), gradients(cut, batch(n))
    assert expected.keys() == found.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(cut.sums, whole.sums, rtol=1e-5, atol=1e-5)


def test_gradient_is_the_plain_mean_of_cross_entropies() -> None:
    learner = make_learner(norm=False, dropout=0.0, flip=False, shift=0.0)
    net = copy.deepcopy(learner.net)
    found = gradients(learner, batch())
    pictures = batch().pictures.permute(0, 3, 1, 2).float()
    torch.nn.functional.cross_entropy(net(pictures), batch().labels).backward()
    for name, weight in net.named_parameters():
        torch.testing.assert_close(found[name], weight.grad, rtol=1e-4, atol=1e-7)


def test_a_step_does_not_depend_on_the_steps_before() -> None:
    """What a step draws belongs to it: a resumed run draws the same."""
    first, second = make_learner(**RANDOM), make_learner(**RANDOM)
    torch.rand(100)
    expected = gradients(first, batch(step=3))
    gradients(second, batch(step=1))
    second.net.load_state_dict(make_learner(**RANDOM).net.state_dict())
    second.optimizer.zero_grad()
    found = gradients(second, batch(step=3))
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=0, atol=0)


def test_clipping_bounds_the_step() -> None:
    learner = make_learner(norm=False, clip_norm=1e-3, momentum=0.0, weight_decay=0.0, ema=0.0)
    before = weights(learner)
    learner.step(batch())
    rate, _ = learner.schedule.at(0)
    moved = torch.cat(
        [(value - before[name]).flatten() for name, value in learner.net.named_parameters()]
    )
    assert float(moved.detach().norm()) == pytest.approx(1e-3 * rate, rel=1e-2)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw"])
def test_checkpoint_carries_everything(optimizer: str) -> None:
    first = make_learner(optimizer=optimizer, **RANDOM)
    for step in range(3):
        first.step(batch(step=step))
    second = make_learner(optimizer=optimizer, **RANDOM)
    saved = first.checkpoint()
    second.restore(type(saved).from_bytes(saved.to_bytes(), "c"))
    for step in range(3, 6):
        first.step(batch(step=step))
        second.step(batch(step=step))
    expected, found = first.checkpoint(), second.checkpoint()
    assert found.state == expected.state
    assert found.tensors.keys() == expected.tensors.keys()
    for name, value in expected.tensors.items():
        assert torch.equal(found.tensors[name], value), name


def test_a_checkpoint_of_another_net_is_an_error() -> None:
    saved = make_learner().checkpoint()
    other = make_learner(norm=False)
    with pytest.raises(RunError, match=r"does not fit this net: .*remove it to begin anew"):
        other.restore(saved)


def test_out_of_memory_halves_the_parts_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The step that failed is done again: the result is that of a step in small parts."""
    learner = make_learner(norm=False, **RANDOM)
    expected = make_learner(norm=False, accumulate=4, **RANDOM)
    whole = NormalisedNet.forward

    def small(self: NormalisedNet, pixels: torch.Tensor) -> torch.Tensor:
        if len(pixels) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(self, pixels)

    monkeypatch.setattr(module.torch.cuda, "empty_cache", lambda: None)
    with monkeypatch.context() as patch:
        patch.setattr(NormalisedNet, "forward", small)
        learner.step(batch())
    expected.step(batch())
    assert learner.halvings == 2
    assert learner.steps == 1
    for name, value in weights(expected).items():
        torch.testing.assert_close(weights(learner)[name], value, rtol=1e-5, atol=1e-7)


def test_out_of_memory_for_one_pair_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(NormalisedNet, "forward", never)
    monkeypatch.setattr(module.torch.cuda, "empty_cache", lambda: None)
    learner = make_learner()
    with pytest.raises(RunError, match=r"out of memory in a step of 16 pictures.*--batch-size"):
        learner.step(batch())


def test_frozen_weights_stay() -> None:
    config = TorchConfig(learning_rate=0.1, epochs=1, batch_size=16)
    net = NormalisedNet(Net(2), torch.zeros(3), torch.ones(3))
    net.net.freeze(1)
    learner = Learner(config, net, CPU, 10, n_classes=2)
    before = weights(learner)
    learner.step(batch())
    after = weights(learner)
    assert torch.equal(after["net.body.0.weight"], before["net.body.0.weight"])
    assert not torch.equal(after["net.body.3.weight"], before["net.body.3.weight"])


def test_sums_are_loss_right_answers_weight_and_pictures() -> None:
    learner = make_learner(norm=False, dropout=0.0, flip=False, shift=0.0)
    net = copy.deepcopy(learner.net)
    learner._accumulate(batch())
    scores = net(batch().pictures.permute(0, 3, 1, 2).float()).detach()
    loss = torch.nn.functional.cross_entropy(scores, batch().labels, reduction="sum")
    right = (scores.argmax(1) == batch().labels).sum()
    torch.testing.assert_close(
        learner.sums, torch.tensor([float(loss), float(right), 16, 16], dtype=torch.float64)
    )

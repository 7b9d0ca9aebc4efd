"""Modes and hooks are restored, also after an error."""

import pytest
import torch
from torch import nn

from phyemu.dnn import captured_output, evaluating, untracked_batch_norm
from phyemu.errors import ConfigError


@pytest.fixture
def model() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Dropout(0.5))


def test_evaluation_moves_no_statistics_and_restores_each_module(model: nn.Sequential) -> None:
    model.train()
    model[2].eval()
    before = model[1].running_mean.clone()
    with evaluating(model):
        assert not any(module.training for module in model.modules())
        output = model(torch.randn(4, 1, 3, 3))
        assert not output.requires_grad
    assert torch.equal(model[1].running_mean, before)
    assert [module.training for module in model] == [True, True, False]


def test_the_mode_is_restored_after_an_error(model: nn.Sequential) -> None:
    with pytest.raises(KeyError), evaluating(model):
        raise KeyError
    assert model[1].training


def test_an_untracked_batch_norm_normalises_by_the_batch(model: nn.Sequential) -> None:
    norm = model[1]
    x = torch.randn(8, 2, 3, 3) * 4 + 5
    before = norm.running_mean.clone()
    with untracked_batch_norm(model):
        untracked = norm(x)
    assert torch.equal(norm.running_mean, before)
    assert norm.track_running_stats
    torch.testing.assert_close(untracked, norm(x))
    assert not torch.equal(norm.running_mean, before)


def test_an_untracked_batch_norm_in_evaluation_uses_what_it_learned(model: nn.Sequential) -> None:
    norm = model[1].eval()
    x = torch.randn(8, 2, 3, 3) * 4 + 5
    with untracked_batch_norm(model):
        torch.testing.assert_close(norm(x), x / (1 + norm.eps) ** 0.5)


def test_outputs_are_captured_and_the_hook_is_gone_after_an_error(model: nn.Sequential) -> None:
    x = torch.randn(2, 1, 3, 3)
    with captured_output(model, "0") as outputs:
        model(x)
    assert torch.equal(outputs[0], model[0](x))
    with pytest.raises(RuntimeError), captured_output(model, "1") as outputs:
        model(torch.zeros(1, 5, 3, 3))
    model(x)
    assert outputs == []


def test_an_unknown_submodule_is_refused(model: nn.Sequential) -> None:
    with (
        pytest.raises(ConfigError, match="no submodule 'layer9'"),
        captured_output(model, "layer9"),
    ):
        pass

"""Lean parts of a model beside transformers' own."""

import pytest
import torch
from torch import nn

from rollout.tiny_models import tower, vlm
from xreasoner.rollout.cache import growing_cache
from xreasoner.rollout.lean import lean_forward


def layers(model):
    text = model.model.language_model if hasattr(model.model, "language_model") else model.model
    return list(text.layers)


def changed(model) -> int:
    with lean_forward(model):
        return sum("forward" in vars(layer) for layer in layers(model))


def decoded(model, mask_BL=None):
    """Logits [3, 4, V] of four steps behind a prompt of five tokens, and the keys of the last layer."""
    ids_BL = torch.arange(11, 38).view(3, 9)
    cache = growing_cache()
    steps = []
    with torch.inference_mode():
        for at in (slice(0, 5), *(slice(k, k + 1) for k in range(5, 9))):
            more = {} if mask_BL is None else {"attention_mask": mask_BL[:, : at.stop]}
            out = model(input_ids=ids_BL[:, at], past_key_values=cache, use_cache=True, **more)
            steps.append(out.logits[:, -1])
    return torch.stack(steps[1:], 1), cache.layers[-1].keys


@pytest.mark.parametrize("make", [tower, lambda: vlm("qwen2.5")], ids=["tower", "vlm"])
@pytest.mark.parametrize("padded", [False, True])
def test_steps_are_those_of_transformers(make, padded):
    model = make()
    mask_BL = torch.ones(3, 9, dtype=torch.long)
    mask_BL[1, :2] = 0
    own, own_keys = decoded(model, mask_BL if padded else None)
    with lean_forward(model):
        lean, keys = decoded(model, mask_BL if padded else None)
    torch.testing.assert_close(lean, own, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(keys, own_keys, rtol=1e-4, atol=1e-4)
    assert not torch.equal(lean, own)  # else nothing was changed


def test_weights_that_moved_since_count():
    model = tower()
    with lean_forward(model):
        before, _ = decoded(model)
    with torch.no_grad():
        layers(model)[1].mlp.down_proj.weight.mul_(2)
    with lean_forward(model):
        after, _ = decoded(model)
    torch.testing.assert_close(after, decoded(model)[0], rtol=1e-4, atol=1e-4)
    assert not torch.allclose(after, before, atol=1e-2)


def test_layers_are_put_back_whatever_happens():
    model = tower()
    with pytest.raises(ZeroDivisionError), lean_forward(model):
        1 / 0  # noqa: B018
    assert not any("forward" in vars(layer) for layer in layers(model))


def test_two_decodes_at_once_may_end_in_any_order():
    model = tower()
    own, _ = decoded(model)
    first, second = lean_forward(model), lean_forward(model)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    torch.testing.assert_close(decoded(model)[0], own, rtol=1e-4, atol=1e-4)
    second.__exit__(None, None, None)
    assert not any("forward" in vars(layer) for layer in layers(model))


def test_prompts_go_through_the_layers_own_forward():
    model = tower()
    ids_BL = torch.arange(11, 21).view(2, 5)
    own = model(input_ids=ids_BL).logits
    with lean_forward(model):
        assert torch.equal(model(input_ids=ids_BL).logits, own)


class _Adapted(nn.Linear):
    """A projection that is more than its weight."""


def _adapters(model):
    layers(model)[0].self_attn.q_proj.__class__ = _Adapted


def _inside(model):
    layers(model)[0].mlp.register_forward_hook(lambda *_: None)


def _before_inside(model):
    layers(model)[0].self_attn.register_forward_pre_hook(lambda *_: None)


def _around(model):
    layers(model)[0].register_forward_hook(lambda *_: None)


def _window(model):
    layers(model)[0].self_attn.sliding_window = 4


def _eager(model):
    model.set_attn_implementation("eager")


def _gelu(model):
    model.config.hidden_act = "gelu"


@pytest.mark.parametrize(
    ("change", "lean"),
    [
        (lambda model: None, 2),
        (_around, 2),  # still called
        (_adapters, 1),
        (_inside, 1),
        (_before_inside, 1),
        (_window, 1),
        (_eager, 0),
        (_gelu, 0),
        (lambda model: model.bfloat16(), 0),
    ],
)
def test_only_what_is_known_is_changed(change, lean):
    model = tower()
    change(model)
    assert changed(model) == lean


def test_autocast_decides_the_precision_by_itself():
    with torch.autocast("cpu", torch.bfloat16):
        assert changed(tower()) == 0


@pytest.mark.parametrize("family", ["qwen2", "qwen3"])
def test_other_families_keep_their_layers(family):
    assert changed(vlm(family)) == 0


def pixels(model, n=6):
    """`n` patches as the processor flattens them."""
    [conv] = [module for module in model.modules() if isinstance(module, nn.Conv3d)]
    return torch.rand(n, conv.in_channels * int(torch.tensor(conv.kernel_size).prod()))


@pytest.mark.parametrize("family", ["qwen2", "qwen2.5", "qwen3"])
def test_patches_are_those_of_the_convolution(family):
    model = vlm(family)
    eyes = model.model.visual.patch_embed
    patches = pixels(model)
    own = eyes(patches)
    with lean_forward(model), torch.no_grad():
        assert "forward" in vars(eyes.proj)
        torch.testing.assert_close(eyes(patches), own, rtol=1e-4, atol=1e-5)
    assert "forward" not in vars(eyes.proj)


def test_a_convolution_that_is_more_than_one_product_stays():
    convs = [nn.Conv3d(2, 3, 2, stride=2), nn.Conv3d(2, 3, 2, stride=1), nn.Conv3d(2, 3, 2, stride=2, padding=1)]
    convs += [nn.Conv3d(2, 4, 2, stride=2, groups=2), nn.Conv3d(2, 3, 2, stride=2).double()]
    with lean_forward(nn.ModuleList(convs)):
        assert ["forward" in vars(conv) for conv in convs] == [True, False, False, False, False]
        larger = torch.rand(1, 2, 4, 4, 4)  # several kernels in one picture
        assert convs[0](larger).shape == (1, 3, 2, 2, 2)

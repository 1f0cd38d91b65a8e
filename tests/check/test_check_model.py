"""What is wrong with a base is found, each thing by its own check."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from xreasoner.check.model import _count
from xreasoner.check.tower import in_small, largest_difference
from xreasoner.model.hub import MICRO
from xreasoner.model.shapes import config_of


def change(folder, edit, file="config.json"):
    fields = json.loads((folder / file).read_text())
    edit(fields)
    (folder / file).write_text(json.dumps(fields))
    return f"model.base={folder}"


def test_the_micro_base_is_sound(found):
    states = [(name, state) for name, state, _ in found("model", "config", "weights", "disk", "tower")]
    assert states == [(name, "ok") for name in ("model", "config", "weights", "disk", "tower")]


def test_an_unreachable_model_is_told_and_what_needs_it_is_not_tried(found):
    told = found("model", "weights", "tower", "rows", "model.base=/nowhere")
    assert told[0][1] == "failed"
    assert told[0][2].startswith("/nowhere is not a folder; give the path of a model folder")
    assert [told[1][2], told[2][2]] == ["not tried, since `model` failed ", "not tried, since `weights` failed "]
    assert [state for _, state, _ in told[3:]] == ["ok"] * 3


def test_an_unsupported_family(found, base):
    [(_, state, told)] = found("model", change(base, lambda c: c.update(model_type="llava")))
    assert (state, "llava" in told, "qwen2_5_vl" in told) == ("failed", True, True)


def test_no_chat_template(found, base):
    (base / "chat_template.jinja").unlink()
    assert found("model", f"model.base={base}")[-1][1:] == (
        "failed",
        f"{base} has no chat template: add a chat_template.jinja to it, as the model's makers do. ",
    )


@pytest.mark.parametrize(
    ("edit", "says"),
    [
        (lambda c: c["text_config"]["rope_parameters"].update(mrope_section=[4, 6, 5]), "half of a head's 32"),
        (lambda c: c["text_config"].update(num_key_value_heads=3), "do not divide the width 128"),
        (lambda c: c.update(image_token_id=96), "image_token_id is 96, in a vocabulary of 96"),
        (lambda c: c["text_config"].update(eos_token_id=200), "eos_token_id 200 is 200"),
        (lambda c: c["text_config"].update(vocab_size=90), "the tokenizer has 96 tokens and the model 90"),
        (lambda c: c.update(text_config=3), "config.json"),
    ],
)
def test_a_broken_config(edit, says, found, base):
    told = found("config", change(base, edit))
    assert any(state == "failed" and says in text for _, state, text in told), told
    assert not any(state == "ok" for _, state, _ in told)


def test_tied_embeddings_that_contradict_each_other_are_a_warning(found, base):
    told = found("config", change(base, lambda c: c["text_config"].update(tie_word_embeddings=False)))
    assert [state for _, state, _ in told] == ["warning", "ok"]
    assert "is True in config.json and False in its text_config" in told[0][2]


def test_truncated_weights(found, base):
    weights = base / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    [(_, state, text)] = found("weights", f"model.base={base}")
    assert (state, "not a whole safetensors file" in text) == ("failed", True)


@pytest.mark.parametrize("key", ["model.norm.weight", "visual.merger.ln_q.weight"])
def test_a_tensor_that_is_not_there(key, found, base):
    tensors = load_file(base / "model.safetensors")
    assert key in tensors
    del tensors[key]
    save_file(tensors, base / "model.safetensors", metadata={"format": "pt"})
    [(_, state, text)] = found("weights", f"model.base={base}")
    assert (state, key.removeprefix("visual.") in text) == ("failed", True)


def test_a_vision_tensor_of_another_shape(found, base):
    tensors = load_file(base / "model.safetensors")
    tensors["visual.merger.ln_q.weight"] = torch.ones(3)
    save_file(tensors, base / "model.safetensors", metadata={"format": "pt"})
    [(_, state, text)] = found("weights", f"model.base={base}")
    assert (state, "merger.ln_q.weight with shape (3,) where (128,) is needed" in text) == ("failed", True)


def test_weights_on_the_hub_are_looked_at_by_their_headers(found, base, monkeypatch):
    from types import SimpleNamespace

    from xreasoner.model.shards import read_shards

    shards = read_shards(MICRO)
    (base / "model.safetensors").unlink()
    files = {
        name: SimpleNamespace(tensors={t.key: SimpleNamespace(dtype=t.dtype, shape=list(t.shape)) for t in tensors})
        for name, tensors in shards.items()
    }
    monkeypatch.setattr("xreasoner.model.hub.resolve_model", lambda name, weights: base)
    asked = []
    monkeypatch.setattr(
        "huggingface_hub.get_safetensors_metadata",
        lambda repo: asked.append(repo) or SimpleNamespace(files_metadata=files),
    )
    told = found("weights", "disk", "model.base=some/vlm")
    assert asked == ["some/vlm"]
    assert told[0][2] == "92 tensors in 1 file, 1.8 M parameters, 6.8 MiB, still to be fetched from the Hub "
    assert told[1][1] == "ok"


def test_the_hub_that_does_not_answer_is_one_sentence(found, base, monkeypatch):
    def unreachable(repo):
        raise ConnectionError("no route\nto host")

    (base / "model.safetensors").unlink()
    monkeypatch.setattr("xreasoner.model.hub.resolve_model", lambda name, weights: base)
    monkeypatch.setattr("huggingface_hub.get_safetensors_metadata", unreachable)
    [(_, state, text)] = found("weights", "model.base=some/vlm")
    assert state == "failed"
    assert text.startswith("The weights of some/vlm could not be looked at on the Hugging Face Hub (ConnectionError): ")


@pytest.mark.parametrize(
    "name", ["Qwen/Qwen2-VL-2B-Instruct", "Qwen/Qwen2.5-VL-7B-Instruct", "Qwen/Qwen3-VL-2B-Instruct"]
)
def test_a_large_base_is_proven_in_small_with_its_own_settings(name, tmp_path, monkeypatch):
    from types import SimpleNamespace

    from xreasoner.check import tower

    config = config_of(name)
    small, text = in_small(config), config.get_text_config()
    assert (small.model_type, small.tie_word_embeddings) == (config.model_type, config.tie_word_embeddings)
    for field in ("rms_norm_eps", "hidden_act"):
        assert getattr(small.get_text_config(), field) == getattr(text, field)
    assert small.get_text_config().rope_parameters["rope_theta"] == text.rope_parameters["rope_theta"]
    context = SimpleNamespace(base=tmp_path / "none", config=config, folder=tmp_path)
    [finding] = tower.check_tower(context)
    assert finding.state == "ok"
    assert f"a random {config.model_type} with the base's settings are bit-identical" in finding.what


def test_a_tower_that_computes_something_else_is_seen(tmp_path, monkeypatch):
    from xreasoner.model import tower as room

    original = room.tower_config

    def forgets(family, config):
        made = original(family, config)
        made.rms_norm_eps = 1e-2
        return made

    monkeypatch.setattr(room, "tower_config", forgets)
    assert largest_difference(MICRO, tmp_path / "tower") > 1e-4


def test_parameters_are_told_in_units_of_their_own():
    assert [_count(8_292_166_656), _count(1_774_592)] == ["8.29 B", "1.8 M"]

"""Detach and graft on tiny random models: bit-identical text logits, untouched eyes, whole folders or none."""

import json
import os

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoTokenizer

from xreasoner.errors import ModelError, RunError
from xreasoner.model.tower import detach, graft, vision_hash

TYPES = ["qwen2_vl", "qwen2_5_vl", "qwen3_vl"]
IDS = torch.tensor([[1, 9, 4, 11, 30, 63, 2, 17], [5 + 7, 0, 3, 3, 60, 10, 41, 2]])


def logits(auto_class, folder, **options):
    model, info = auto_class.from_pretrained(folder, output_loading_info=True, **options)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert not info["mismatched_keys"]
    with torch.no_grad():
        return model.eval()(input_ids=IDS).logits


def flat(files):
    return {key: tensor for tensors in files.values() for key, tensor in tensors.items()}


def same(a, b):
    return a.keys() == b.keys() and all(a[k].dtype == b[k].dtype and torch.equal(a[k], b[k]) for k in a)


def train(tower, to, **options):
    """Stands in for a training run: moves every weight and saves with stock transformers."""
    model = AutoModelForCausalLM.from_pretrained(tower, dtype=torch.float32)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    model.save_pretrained(to, **options)
    return model


@pytest.mark.parametrize(
    ("model_type", "long_names"),
    [("qwen2_vl", False), ("qwen2_vl", True), ("qwen2_5_vl", False), ("qwen2_5_vl", True), ("qwen3_vl", True)],
)
@pytest.mark.parametrize("sharded", [False, True])
@pytest.mark.parametrize("tie", [False, True])
def test_text_logits_survive_and_the_round_trip_changes_nothing(
    model_type, tie, sharded, long_names, make_vlm, tensors_of, tmp_path
):
    vlm = make_vlm(model_type, tie=tie, sharded=sharded, long_names=long_names)
    detach(vlm, tmp_path / "tower")
    whole = logits(AutoModelForImageTextToText, vlm)
    assert torch.equal(logits(AutoModelForCausalLM, tmp_path / "tower"), whole)

    graft(vlm, tmp_path / "tower", tmp_path / "final")
    before, after = tensors_of(vlm), tensors_of(tmp_path / "final")
    assert before.keys() == after.keys()
    assert (len(before) > 1) == sharded
    assert all(same(before[file], after[file]) for file in before)
    assert ("lm_head.weight" in flat(after)) == (not tie)
    assert torch.equal(logits(AutoModelForImageTextToText, tmp_path / "final"), whole)


@pytest.mark.parametrize("tie", [False, True])
@pytest.mark.parametrize("model_type", TYPES)
def test_a_trained_tower_changes_the_words_and_not_the_eyes(model_type, tie, make_vlm, tensors_of, tmp_path):
    vlm = make_vlm(model_type, tie=tie, sharded=True)
    detach(vlm, tmp_path / "tower")
    train(tmp_path / "tower", tmp_path / "trained", max_shard_size="9KB")
    graft(vlm, tmp_path / "trained", tmp_path / "final")
    text = logits(AutoModelForImageTextToText, tmp_path / "final")
    assert torch.equal(text, logits(AutoModelForCausalLM, tmp_path / "trained"))
    assert not torch.equal(text, logits(AutoModelForImageTextToText, vlm))
    before, after = flat(tensors_of(vlm)), flat(tensors_of(tmp_path / "final"))
    eyes = [key for key in before if "visual." in key]
    assert eyes
    assert same({k: before[k] for k in eyes}, {k: after[k] for k in eyes})
    assert not any(torch.equal(before[k], after[k]) for k in before if k not in eyes)
    assert vision_hash(vlm) == vision_hash(tmp_path / "final")


@pytest.mark.parametrize("model_type", TYPES)
def test_every_field_of_the_text_config_is_carried_over(model_type, make_vlm, tmp_path):
    vlm = make_vlm(model_type, tie=True)
    detach(vlm, tmp_path / "tower")
    source = json.loads((vlm / "config.json").read_text())
    config = json.loads((tmp_path / "tower/config.json").read_text())
    text = source["text_config"]
    text.pop("model_type")
    assert text.pop("rope_parameters")["mrope_section"] == [1, 1, 2]
    assert config["rope_parameters"] == {"rope_type": "default", "rope_theta": 5000.0}
    assert {name: config[name] for name in text} == text
    assert config["rms_norm_eps"] == 1e-3
    assert config["tie_word_embeddings"] is True
    assert config["dtype"] == "float32"
    assert config["architectures"] == ["Qwen3ForCausalLM" if model_type == "qwen3_vl" else "Qwen2ForCausalLM"]


def test_a_flat_config_as_first_released_is_understood(make_vlm, tmp_path):
    vlm = make_vlm("qwen2_5_vl", long_names=False)
    whole = logits(AutoModelForImageTextToText, vlm)
    config = json.loads((vlm / "config.json").read_text())
    text = config.pop("text_config")
    text.pop("model_type")
    rope = text.pop("rope_parameters")
    flat_config = {**text, **config, "rope_theta": rope["rope_theta"], "torch_dtype": config.pop("dtype")}
    flat_config["rope_scaling"] = {"type": "mrope", "mrope_section": rope["mrope_section"]}
    (vlm / "config.json").write_text(json.dumps(flat_config))
    detach(vlm, tmp_path / "tower")
    tower = json.loads((tmp_path / "tower/config.json").read_text())
    assert tower["rope_parameters"] == {"rope_type": "default", "rope_theta": 5000.0}
    assert (tower["eos_token_id"], tower["dtype"], tower["rms_norm_eps"]) == (2, "float32", 1e-3)
    assert torch.equal(logits(AutoModelForCausalLM, tmp_path / "tower"), whole)


def test_special_tokens_on_the_outer_config_win(make_vlm, tmp_path):
    vlm = make_vlm()
    config = json.loads((vlm / "config.json").read_text())
    del config["text_config"]["eos_token_id"]  # the family's default is 151645, beyond this vocabulary
    (vlm / "config.json").write_text(json.dumps(config | {"eos_token_id": [2, 3]}))
    detach(vlm, tmp_path / "tower")
    tower = json.loads((tmp_path / "tower/config.json").read_text())
    assert (tower["bos_token_id"], tower["eos_token_id"], tower["pad_token_id"]) == (1, [2, 3], 0)


def test_a_float32_tower_is_rounded_to_the_source_dtype(make_vlm, tensors_of, tmp_path):
    vlm = make_vlm("qwen2_5_vl", dtype=torch.bfloat16)
    detach(vlm, tmp_path / "tower")
    assert json.loads((tmp_path / "tower/config.json").read_text())["dtype"] == "bfloat16"
    trained = train(tmp_path / "tower", tmp_path / "trained").state_dict()
    graft(vlm, tmp_path / "trained", tmp_path / "final")
    final = flat(tensors_of(tmp_path / "final"))
    assert all(tensor.dtype == torch.bfloat16 for tensor in final.values())
    assert torch.equal(final["model.norm.weight"], trained["model.norm.weight"].bfloat16())
    assert vision_hash(vlm) == vision_hash(tmp_path / "final")


def test_a_tied_head_may_be_saved_with_the_tower_if_it_is_the_embedding(make_vlm, tensors_of, tmp_path):
    vlm = make_vlm("qwen3_vl", tie=True)
    tower = tmp_path / "tower"
    detach(vlm, tower)
    tensors = load_file(tower / "model.safetensors")
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    save_file(tensors, tower / "model.safetensors", metadata={"format": "pt"})
    graft(vlm, tower, tmp_path / "final")
    assert "lm_head.weight" not in flat(tensors_of(tmp_path / "final"))
    tensors["lm_head.weight"] += 1
    save_file(tensors, tower / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="tied embeddings"):
        graft(vlm, tower, tmp_path / "other")


def test_the_folders_are_complete(make_vlm, tmp_path):
    vlm = make_vlm()
    (vlm / "generation_config.json").unlink()
    (vlm / "LICENSE").write_text("free")
    (vlm / "pytorch_model.bin").write_bytes(b"pickle")
    (vlm / "modeling_evil.py").write_text("raise SystemExit")
    (vlm / "additional_chat_templates").mkdir()
    (vlm / "additional_chat_templates/tool.jinja").write_text("{{ x }}")
    detach(vlm, tmp_path / "tower")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "tower")
    assert tokenizer("a b")["input_ids"] == [4, 9]
    assert tokenizer.chat_template == {"default": "{{ messages[0]['content'] }}", "tool": "{{ x }}"}
    assert "processor_class" not in (tmp_path / "tower/tokenizer_config.json").read_text()
    assert not (tmp_path / "tower/processor_config.json").exists()
    assert json.loads((tmp_path / "tower/generation_config.json").read_text())["eos_token_id"] == 2

    graft(vlm, tmp_path / "tower", tmp_path / "final")
    files = {path.name for path in (tmp_path / "final").iterdir()}
    assert files == {path.name for path in vlm.iterdir()} - {"pytorch_model.bin", "modeling_evil.py"} | {
        "generation_config.json",
        "README.md",
    }
    assert json.loads((tmp_path / "final/generation_config.json").read_text())["eos_token_id"] == 2
    for name in ("config.json", "processor_config.json", "tokenizer.json", "chat_template.jinja", "LICENSE"):
        assert (tmp_path / "final" / name).read_bytes() == (vlm / name).read_bytes()
    card = (tmp_path / "final/README.md").read_text()
    assert card.count(vision_hash(vlm)) == 2
    assert vlm.name in card
    assert str(tmp_path) not in card
    assert "AutoModelForImageTextToText" in card
    assert not list(tmp_path.glob(".*"))


def test_a_chat_template_that_only_the_processor_had_reaches_the_tower(make_vlm, tmp_path):
    vlm = make_vlm()
    (vlm / "chat_template.jinja").rename(tmp_path / "template")
    (vlm / "chat_template.json").write_text(json.dumps({"chat_template": "old {{ messages }}"}))
    detach(vlm, tmp_path / "tower")
    assert AutoTokenizer.from_pretrained(tmp_path / "tower").chat_template == "old {{ messages }}"


def test_vision_hash_sees_the_tensors_and_nothing_else(make_vlm, tensors_of):
    one, other = make_vlm(sharded=False, long_names=False), make_vlm(sharded=True, long_names=True)
    assert vision_hash(one) == vision_hash(other)
    tensors = load_file(one / "model.safetensors")
    tensors["visual.merger.ln_q.weight"][0] += 1e-3
    save_file(tensors, one / "model.safetensors", metadata={"format": "pt"})
    assert vision_hash(one) != vision_hash(other)


def _grow(tensors):
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        tensors[name] = torch.cat([tensors[name], tensors[name][:1]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_grow, "vocabulary of 65 .* says 64"),
        (lambda t: t.pop("model.norm.weight"), r"lacks model\.norm\.weight"),
        (lambda t: t.pop("lm_head.weight"), r"lacks lm_head\.weight"),
        (lambda t: t.update({"base_model.lora_A.weight": torch.ones(1)}), "merge an adapter"),
        (lambda t: t.update({"model.norm.weight": torch.ones(16)}), r"shape \[16\] where \[32\]"),
    ],
)
def test_a_tower_of_another_shape_is_refused(change, message, make_vlm, tmp_path):
    vlm = make_vlm()
    detach(vlm, tmp_path / "tower")
    tensors = load_file(tmp_path / "tower/model.safetensors")
    change(tensors)
    save_file(tensors, tmp_path / "tower/model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=message):
        graft(vlm, tmp_path / "tower", tmp_path / "final")
    assert not (tmp_path / "final").exists()


def test_a_tower_that_computes_something_else_is_refused(make_vlm, tmp_path):
    vlm = make_vlm("qwen2_vl")
    detach(vlm, tmp_path / "tower")
    path = tmp_path / "tower/config.json"
    path.write_text(path.read_text().replace("0.001", "1e-06"))
    with pytest.raises(ModelError, match="rms_norm_eps = 1e-06"):
        graft(vlm, tmp_path / "tower", tmp_path / "final")
    detach(make_vlm("qwen3_vl"), tmp_path / "other")
    with pytest.raises(ModelError, match="is of type 'qwen3'"):
        graft(vlm, tmp_path / "other", tmp_path / "final")


def test_a_broken_vlm_is_refused(make_vlm, tmp_path):
    vlm = make_vlm(sharded=True)
    whole = next(vlm.glob("model-00002-*.safetensors"))
    whole.write_bytes(whole.read_bytes()[:-8])
    with pytest.raises(ModelError, match="not a whole safetensors file"):
        detach(vlm, tmp_path / "tower")
    whole.unlink()
    with pytest.raises(ModelError, match="is missing"):
        detach(vlm, tmp_path / "tower")
    (vlm / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../../x.safetensors"}}))
    with pytest.raises(ModelError, match="outside its folder"):
        detach(vlm, tmp_path / "tower")
    (vlm / "model.safetensors.index.json").unlink()
    with pytest.raises(ModelError, match="save the whole model as safetensors"):
        detach(vlm, tmp_path / "tower")
    (vlm / "config.json").write_text(json.dumps({"model_type": "qwen2_vl", "text_config": 3}))
    with pytest.raises(ModelError, match="config"):
        detach(vlm, tmp_path / "tower")
    assert not (tmp_path / "tower").exists()


def test_an_existing_folder_is_never_touched(make_vlm, tmp_path):
    vlm = make_vlm()
    (tmp_path / "tower").mkdir()
    with pytest.raises(RunError, match="already exists"):
        detach(vlm, tmp_path / "tower")
    assert not any((tmp_path / "tower").iterdir())


def test_a_failure_leaves_nothing_and_a_leftover_does_not_disturb(make_vlm, tmp_path, monkeypatch):
    vlm = make_vlm()
    import xreasoner.model.tower as module

    def full_disk(*_):
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_shards", full_disk)
        with pytest.raises(RunError, match="is full"):
            detach(vlm, tmp_path / "tower")
    assert not list(tmp_path.glob("*tower*"))
    (tmp_path / ".part-tower").mkdir()
    (tmp_path / ".part-tower/junk.json").write_text("{}")
    detach(vlm, tmp_path / "tower")
    assert not (tmp_path / "tower/junk.json").exists()
    assert not list(tmp_path.glob(".*"))


def test_links_out_of_the_folder_are_not_followed(make_vlm, tmp_path):
    vlm = make_vlm()
    secret = tmp_path / "secret.json"
    secret.write_text("{}")
    (vlm / "extra.json").symlink_to(secret)
    with pytest.raises(ModelError, match="link to a file outside"):
        detach(vlm, tmp_path / "tower")


def test_the_hugging_face_cache_is_read_through_its_links(make_vlm, tmp_path):
    vlm = make_vlm()
    repository = tmp_path / "models--Qwen--Tiny"
    snapshot = repository / "snapshots/abc"
    snapshot.mkdir(parents=True)
    (repository / "blobs").mkdir()
    for number, path in enumerate(sorted(vlm.iterdir())):
        path.rename(repository / "blobs" / str(number))
        (snapshot / path.name).symlink_to(f"../../blobs/{number}")
    detach(snapshot, tmp_path / "tower")
    graft(snapshot, tmp_path / "tower", tmp_path / "final")
    assert not any(path.is_symlink() for path in (tmp_path / "final").iterdir())
    assert 'base_model: "Qwen/Tiny"' in (tmp_path / "final/README.md").read_text()

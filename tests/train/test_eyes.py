"""SFT with pictures: what the whole VLM reads, what it learns, and that its eyes stay as they are."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from test_sft import largest_difference, spec

from xreasoner.data.datasets import load_training
from xreasoner.data.render import IGNORED, render_many
from xreasoner.model.hub import MICRO
from xreasoner.model.load import load_tokenizer, load_tower, load_vlm
from xreasoner.model.tower import detach, graft, vision_hash
from xreasoner.train.eyes import Eyes
from xreasoner.train.sft import train_sft
from xreasoner.types import Image, Message, Prompt

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def tower(tmp_path_factory):
    folder = tmp_path_factory.mktemp("micro") / "tower"
    detach(MICRO, folder)
    return folder


def spec_of(share, **changes):
    options = {"p_pictured": share, "p_ramble": 0.2, "steps": [2, 3]}
    data = {"name": "micro-math-pictures", "rows": 24, "options": options}
    return spec(data=data, images=True, epochs=1, learning_rate=3e-4, **changes)


def rows_in(folder, share=0.5):
    return load_training(spec_of(share).data, 1, folder)


def train(tower, stage, share=0.5, progress=lambda event: None, eyes=True, **changes):
    examples = rows_in(stage / "pictures", share)
    seeing = Eyes(MICRO) if eyes else None
    return train_sft(spec_of(share, **changes), examples, tower, stage, seed=1, progress=progress, eyes=seeing)


def plain_collator(rows):
    """As TRL's: padded on the right, labels -100 there."""
    longest = max(len(row["input_ids"]) for row in rows)
    filled = {"input_ids": 0, "labels": IGNORED, "attention_mask": 0}
    rows = [{**row, "attention_mask": [1] * len(row["input_ids"])} for row in rows]
    return {n: torch.tensor([row[n] + [v] * (longest - len(row[n])) for row in rows]) for n, v in filled.items()}


def seeing_tower(tower):
    """(the tower that sees, its eyes, the collator of its batches), as a trainer has them."""
    eyes = Eyes(MICRO)
    args = SimpleNamespace(device="cpu", gradient_checkpointing=False)
    trainer = SimpleNamespace(model=load_tower(tower).train(), args=args, data_collator=plain_collator)
    eyes.open(trainer)
    return trainer.model, eyes, trainer.data_collator


def rows_of(examples, eyes, tower):
    rendered = render_many(examples, load_tokenizer(tower), 100, "cut", eyes.encode)
    return [
        {"input_ids": row.input_ids, "labels": row.labels, "pictures": [image.path for image in example.images]}
        for row, example in zip(rendered, examples, strict=True)
    ]


def logprobs(model, batch):
    """Log-probability of every trained token of a batch, row by row."""
    batch = dict(batch)
    labels = batch.pop("labels")[:, 1:]
    found = model(**batch).logits[:, :-1].log_softmax(-1).gather(-1, labels.clamp(min=0)[..., None])[..., 0]
    return [row[mask] for row, mask in zip(found, labels != IGNORED, strict=True)]


def test_a_prompt_has_the_ids_of_evaluation_and_no_loss(tower, tmp_path):
    from xreasoner.rollout.local import LocalSampler

    examples = rows_in(tmp_path)
    eyes, sampler = Eyes(MICRO), LocalSampler.from_dir(MICRO)
    for example, row in zip(examples, rows_of(examples, eyes, tower), strict=True):
        ids = sampler._encode(Prompt(example.messages)).ids
        assert tuple(row["input_ids"][: len(ids)]) == ids
        assert row["labels"] == [IGNORED] * len(ids) + row["input_ids"][len(ids) :]
        # A page has one visual token a cell: a line has three, and there is one line more than steps.
        lines = int(example.tags["steps"]) + 1
        if example.tags["modality"] != "chart":
            assert ids.count(4) == (3 * lines if example.images else 0)
        else:
            assert ids.count(4) in (4 * 3, 4 * 4)  # three or four bars, three cells high, and their names
        assert 4 not in row["input_ids"][len(ids) :]


def test_training_gives_a_reply_the_probabilities_of_evaluation(tower, tmp_path):
    """Rows of text, pages and charts together: the VLM of evaluation, asked one by one with positions of its own."""
    examples = rows_in(tmp_path)[:12]
    assert {e.tags["modality"] for e in examples} == {"text", "image", "chart"}
    model, eyes, collate = seeing_tower(tower)
    vlm, rows = load_vlm(MICRO), rows_of(examples, eyes, tower)
    with torch.no_grad():
        trained = logprobs(model, collate(rows))
        for row, ours in zip(rows, trained, strict=True):
            inputs = {"input_ids": torch.tensor([row["input_ids"]]), "labels": torch.tensor([row["labels"]])}
            if row["pictures"]:
                pixels, grid = eyes._encoder.pixels(row["pictures"][0])
                types = (inputs["input_ids"] == 4).int()
                inputs |= {"pixel_values": pixels, "image_grid_thw": grid, "mm_token_type_ids": types}
                places, _ = vlm.model.get_rope_index(
                    inputs["input_ids"], mm_token_type_ids=types, image_grid_thw=grid, attention_mask=None
                )
                assert places.max() < len(row["input_ids"]) - 1  # a picture takes fewer positions than tokens
                inputs["position_ids"] = places
            (theirs,) = logprobs(vlm, inputs)
            assert torch.allclose(ours, theirs, atol=1e-4)


def test_text_has_the_loss_and_the_gradients_of_the_detached_tower(tower, tmp_path):
    seeing, eyes, collate = seeing_tower(tower)
    alone = load_tower(tower).train()
    batch = collate(rows_of(rows_in(tmp_path, share=0), eyes, tower))
    losses = [-torch.cat(logprobs(model, batch)).mean() for model in (seeing, alone)]
    for loss in losses:
        loss.backward()
    assert losses[0].item() == pytest.approx(losses[1].item(), abs=1e-5)
    ours, theirs = dict(seeing.named_parameters()), dict(alone.named_parameters())
    assert ours.keys() == theirs.keys()
    assert max(float((ours[n].grad - theirs[n].grad).abs().max()) for n in ours) < 1e-5
    assert max(float(p.grad.abs().max()) for p in theirs.values()) > 1e-4


def test_a_run_on_text_ends_as_without_eyes(tower, tmp_path):
    for name, eyes in (("eyes", True), ("none", False)):
        train(tower, tmp_path / name, share=0, eyes=eyes)
    # Three updates of 3e-4 at most: another order of summation, and no other gradient.
    assert largest_difference(tmp_path / "eyes", tmp_path / "none") < 5e-5


def test_the_loss_depends_on_the_picture(tower, tmp_path):
    model, eyes, collate = seeing_tower(tower)
    row, other = [e for e in rows_in(tmp_path) if e.tags["modality"] == "chart"][:2]
    wrong = replace(row, messages=(Message("user", (Image(other.images[0].path), row.messages[0].content[1])),))
    with torch.no_grad():
        right, swapped = (-float(logprobs(model, collate(rows_of([e], eyes, tower)))[0].mean()) for e in (row, wrong))
    assert swapped > right + 0.1


@pytest.fixture(scope="module")
def whole_run(tower, tmp_path_factory):
    stage, events = tmp_path_factory.mktemp("whole"), []
    return stage, events, train(tower, stage, progress=events.append)


def test_a_run_trains_the_tower_and_leaves_the_eyes_alone(tower, whole_run, tmp_path):
    stage, events, summary = whole_run
    assert [event["step"] for event in events[:-1]] == [1, 2, 3]
    assert summary["rows_kept"] + summary["rows_cut"] == 24
    assert events[2]["loss"] > 0
    graft(MICRO, stage / "tower", tmp_path / "vlm", pictured=True)
    assert vision_hash(tmp_path / "vlm") == vision_hash(MICRO)
    before, after = load_vlm(MICRO).state_dict(), load_vlm(tmp_path / "vlm").state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {name for name in before if "visual." not in name}
    card = (tmp_path / "vlm" / "README.md").read_text()
    assert "trained on text and pictures" in card
    assert "text-only" not in card
    assert "text alone" not in card


def test_only_the_tower_is_trained(tower):
    model, eyes, _ = seeing_tower(tower)
    assert all(p.requires_grad for p in model.parameters())
    assert not any(p.requires_grad for n, p in eyes._vlm.named_parameters() if "visual." in n)
    ours = {id(p) for p in model.parameters()}
    assert all(id(p) in ours for n, p in eyes._vlm.named_parameters() if "visual." not in n)
    assert not eyes._vlm.model.visual.training


def test_recomputed_layers_and_small_micro_batches_change_nothing(tower, whole_run, tmp_path, monkeypatch):
    """24 rows in batches of 8, at micro-batches of 3: some of text alone, some with a row without loss."""
    from torch.utils import checkpoint

    recomputed = []

    def counted(function, *args, **kwargs):
        recomputed.append(function)
        return checkpoint.checkpoint(function, *args, **kwargs)

    monkeypatch.setattr("transformers.modeling_utils.checkpoint", counted)
    train(tower, tmp_path, gradient_checkpointing=True, micro_batch_sequences=3)
    assert len(recomputed) == 3 * 3 * 4  # micro-batches of three steps, layers
    assert 0 < largest_difference(whole_run[0], tmp_path) < 2e-5


def test_a_run_that_broke_goes_on_to_the_same_end(tower, whole_run, tmp_path):
    def stop(event):
        if event.get("step") == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tower, tmp_path, progress=stop)
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["checkpoint-2"]
    events = []
    train(tower, tmp_path, progress=events.append)
    assert [event["step"] for event in events[:-1]] == [3]
    assert largest_difference(whole_run[0], tmp_path) == 0.0


@pytest.mark.slow
def test_killed(tower, whole_run, tmp_path):
    code = f"""
import os, pathlib, sys
sys.path.insert(0, {os.path.dirname(__file__)!r})
import test_eyes
def kill(event):
    if event.get("step") == 3:
        os.kill(os.getpid(), {int(signal.SIGKILL)})
test_eyes.train(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), progress=kill)
"""
    done = subprocess.run([sys.executable, "-c", code, tower, tmp_path], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert done.stdout + done.stderr == ""
    train(tower, tmp_path)
    assert largest_difference(whole_run[0], tmp_path) == 0.0


def test_a_picture_that_is_gone_is_one_sentence(tower, tmp_path):
    from xreasoner.errors import DataError

    examples = rows_in(tmp_path / "pictures")
    Path(next(e for e in examples if e.images).images[0].path).unlink()
    with pytest.raises(DataError, match=r"The image .* cannot be read"):
        train_sft(spec_of(0.5), examples, tower, tmp_path, seed=1, progress=print, eyes=Eyes(MICRO))

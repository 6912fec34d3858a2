"""Checkpoints are whole, hold data alone, and never execute code."""

import argparse
import errno
import hashlib
import importlib.util
import os
import pickle
import random
import re
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

from luss.engine.checkpoint import (
    DamagedCheckpointError,
    checkpoint_digest,
    checkpoint_step,
    init_weights_from,
    latest_checkpoint,
    load,
    load_weights,
    newest_intact_checkpoint,
    required_checkpoint,
    save,
)
from luss.errors import LussError
from luss.files import write_json


def weights(value):
    return {"head.weight": torch.full((2, 3), value), "head.count": torch.tensor(3)}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("key", ["state_dict", "model", None])
def test_weights_that_are_not_finite_are_named(tmp_path, key, value):
    """Of any program: they would predict one category everywhere."""
    bare = weights(1.0) | {"body.weight": torch.tensor([1.0, value])}
    torch.save({key: bare} if key else bare, tmp_path / "file.pth")
    with pytest.raises(LussError, match=r"file\.pth .* 1 of 2 tensors \(body\.weight\)"):
        load(tmp_path / "file.pth")


def test_the_state_of_an_optimizer_may_hold_anything(tmp_path):
    optimizer = {"state": {0: {"step": torch.tensor(float("inf"))}}}
    torch.save({"state_dict": weights(1.0), "optimizer": optimizer}, tmp_path / "file.pth")
    assert load(tmp_path / "file.pth")["optimizer"] == optimizer


class Executes:
    """Unpickling it makes a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.mark.parametrize("zipped", [True, False])
def test_pickled_code_is_refused_and_not_executed(tmp_path, zipped):
    made = tmp_path / "made"
    content = {"state_dict": {}, "meta": Executes(made)}
    torch.save(content, tmp_path / "evil.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(LussError, match="never loads checkpoints that would execute code"):
        load(tmp_path / "evil.pth")
    assert not made.exists()


def test_an_environment_variable_does_not_lower_the_guard(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    made = tmp_path / "made"
    torch.save(Executes(made), tmp_path / "evil.pth")
    with pytest.raises(LussError):
        load(tmp_path / "evil.pth")
    assert not made.exists()


def test_plain_pickle_is_not_executed(tmp_path):
    made = tmp_path / "made"
    (tmp_path / "evil.pth").write_bytes(pickle.dumps(Executes(made)))
    with pytest.raises(LussError):
        load(tmp_path / "evil.pth")
    assert not made.exists()


def test_files_of_safetensors(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"damaged")
    if importlib.util.find_spec("safetensors") is None:
        with pytest.raises(LussError, match="pip install safetensors"):
            load(path)
        return
    from safetensors.torch import save_file

    with pytest.raises(DamagedCheckpointError, match=r"model\.safetensors"):
        load(path)
    save_file({"w": torch.arange(3.0)}, path)
    assert load(path)["w"].tolist() == [0, 1, 2]
    save_file({"w": torch.tensor([torch.nan])}, path)
    with pytest.raises(LussError, match="w"):
        load(path)


def test_arguments_beside_the_weights_are_plain_values(tmp_path):
    """Many programs save them, as those of DINO and PixPro."""
    arguments = argparse.Namespace(arch="resnet50", crop=0.2)
    torch.save({"opt": arguments, "model": {"w": torch.ones(2)}}, tmp_path / "ckpt.pth")
    found = load(tmp_path / "ckpt.pth")
    assert found["opt"] == arguments
    assert found["model"]["w"].tolist() == [1, 1]


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"PK\x03\x04", b"\x80\x02}q\x00."])
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "iter_1.pth"
    path.write_bytes(content)
    with pytest.raises(LussError, match=r"iter_1\.pth"):
        load_weights(nn.Linear(1, 1), load(path), path)


def test_cut_checkpoint_is_refused(tmp_path):
    path = tmp_path / "iter_1.pth"
    save(path, {"state_dict": nn.Linear(20, 20).state_dict()})
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(DamagedCheckpointError, match="is truncated"):
        load(path)


def cut_everywhere(content):
    """Some hundred lengths, all near both ends."""
    ends = {*range(40), *range(len(content) - 110, len(content))}
    return sorted(ends | set(range(0, len(content), len(content) // 50)))


def flips(content):
    """Places (byte, bit): each bit of both ends, and some hundred between."""
    ends = {*range(40), *range(len(content) - 110, len(content))}
    draw = random.Random(0)
    for place in sorted(ends):
        yield from ((place, bit) for bit in range(8))
    for _ in range(400):
        yield draw.randrange(len(content)), draw.randrange(8)


def test_each_flipped_bit_and_each_cut_is_told(tmp_path):
    path = tmp_path / "iter_1.pth"
    save(path, {"state_dict": nn.Linear(20, 20).state_dict(), "meta": {"iter": 1}})
    whole = path.read_bytes()
    load(path)
    for length in cut_everywhere(whole):
        path.write_bytes(whole[:length])
        with pytest.raises(DamagedCheckpointError, match=r"iter_1\.pth is damaged"):
            load(path)
    for place, bit in flips(whole):
        changed = bytearray(whole)
        changed[place] ^= 1 << bit
        path.write_bytes(changed)
        with pytest.raises(DamagedCheckpointError, match=r"iter_1\.pth is damaged"):
            load(path)


def test_the_digest_is_that_of_the_bytes_and_others_read_the_file(tmp_path):
    path = tmp_path / "iter_1.pth"
    content = {"state_dict": nn.Linear(20, 20).state_dict(), "meta": {"iter": 1}}
    save(path, content)
    with zipfile.ZipFile(path) as archive:
        comment = archive.comment
        assert archive.testzip() is None
    expected = hashlib.sha256(path.read_bytes()[: -len(comment)]).hexdigest()
    assert comment == b"luss sha256 " + expected.encode()
    assert checkpoint_digest(path) == expected
    for mmap in (False, True):
        loaded = torch.load(path, weights_only=True, mmap=mmap)
        assert torch.equal(loaded["state_dict"]["bias"], content["state_dict"]["bias"])


@pytest.mark.parametrize("zipped", [True, False])
def test_checkpoints_of_other_programs_have_no_digest(tmp_path, zipped):
    path = tmp_path / "theirs.pth"
    torch.save({"state_dict": {}}, path, _use_new_zipfile_serialization=zipped)
    assert load(path) == {"state_dict": {}}
    assert checkpoint_digest(path) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_guard_is_named_and_not_how_to_lower_it(tmp_path):
    for name, content in {
        "object": {"meta": Executes(tmp_path / "made")},
        "number": {"meta": np.float64(1)},
        "function": {"meta": os.getcwd},
    }.items():
        torch.save(content, tmp_path / name)
        with pytest.raises(LussError) as error:
            load(tmp_path / name)
        assert "the Python object" in str(error.value)
        assert "weights_only" not in str(error.value)
        assert not isinstance(error.value, DamagedCheckpointError)
    (tmp_path / "pickle").write_bytes(pickle.dumps({"meta": Executes(tmp_path / "made")}))
    with pytest.raises(LussError) as error:
        load(tmp_path / "pickle")
    assert "weights_only" not in str(error.value)


def test_the_newest_whole_one(tmp_path):
    for step in (4, 8, 12):
        save(tmp_path / f"iter_{step}.pth", {"meta": {"iter": step}})
    newest = tmp_path / "iter_12.pth"
    assert newest_intact_checkpoint(newest) == (newest, [])
    for step, whole, damaged in [(12, 8, [12]), (8, 4, [12, 8])]:
        flip(tmp_path / f"iter_{step}.pth")
        expected = tmp_path / f"iter_{whole}.pth", [tmp_path / f"iter_{d}.pth" for d in damaged]
        assert newest_intact_checkpoint(newest) == expected
    flip(tmp_path / "iter_4.pth")
    with pytest.raises(DamagedCheckpointError, match=r"iter_12\.pth"):
        newest_intact_checkpoint(newest)


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 8
    path.write_bytes(content)


def test_a_stage_that_has_lost_its_last_checkpoint(tmp_path):
    for step in (4, 8):
        save(tmp_path / f"iter_{step}.pth", {})
    write_json(tmp_path / "done.json", {"checkpoint": "iter_8.pth"})
    assert required_checkpoint(tmp_path).name == "iter_8.pth"
    (tmp_path / "iter_8.pth").unlink()
    with pytest.raises(LussError, match=r"ended with iter_8\.pth, .* iter_4\.pth; "):
        required_checkpoint(tmp_path)


@pytest.mark.parametrize("value", [8, ["iter_4.pth"], "/iter_4.pth"])
def test_the_note_of_a_last_checkpoint_has_a_file_name(tmp_path, value):
    save(tmp_path / "iter_4.pth", {})
    write_json(tmp_path / "done.json", {"checkpoint": value})
    said = re.escape(f"done.json is damaged: 'checkpoint' is {value!r}, expected a file name")
    with pytest.raises(LussError, match=said):
        required_checkpoint(tmp_path)


def test_missing_file_and_wrong_content(tmp_path):
    with pytest.raises(LussError, match=r"no checkpoint .*absent\.pth"):
        load(tmp_path / "absent.pth")
    torch.save(torch.zeros(2), tmp_path / "tensor.pth")
    with pytest.raises(LussError, match="a Tensor, expected a dict"):
        load(tmp_path / "tensor.pth")


def test_the_newest_is_told_by_its_number(tmp_path):
    assert latest_checkpoint(tmp_path) is None
    with pytest.raises(LussError, match=r"no checkpoint iter_<N>\.pth"):
        required_checkpoint(tmp_path)
    for name in ("iter_9.pth", "iter_10.pth", "iter_x.pth", "epoch_99.pth", ".iter_11.pth.a"):
        (tmp_path / name).touch()
    (tmp_path / "last_checkpoint").write_text("iter_9.pth")
    assert latest_checkpoint(tmp_path) == tmp_path / "iter_10.pth"
    assert checkpoint_step("a/iter_10.pth") == 10
    assert checkpoint_step("a/epoch_10.pth") is None


def test_what_is_saved_is_loaded(tmp_path):
    content = {"state_dict": nn.Linear(3, 2).state_dict(), "meta": {"iter": 7, "name": "x"}}
    save(tmp_path / "folder" / "iter_7.pth", content)
    loaded = load(tmp_path / "folder" / "iter_7.pth")
    assert loaded["meta"] == content["meta"]
    for key, value in content["state_dict"].items():
        torch.testing.assert_close(loaded["state_dict"][key], value, rtol=0, atol=0)
    assert zipfile.is_zipfile(tmp_path / "folder" / "iter_7.pth")


def test_full_disk_keeps_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "iter_7.pth"
    save(path, {"state_dict": {}, "meta": {"iter": 7}})

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as error:
        save(path, {"state_dict": {}, "meta": {"iter": 8}})
    assert error.value.filename == str(path)
    monkeypatch.undo()
    assert load(path)["meta"] == {"iter": 7}
    assert [entry.name for entry in tmp_path.iterdir()] == ["iter_7.pth"]


def two_parts():
    return nn.ModuleDict({"backbone": nn.Linear(3, 2), "head": nn.Linear(2, 4)})


def test_parts_are_copied_whole(tmp_path):
    source, target = two_parts(), two_parts()
    before = target["head"].weight.clone()
    save(tmp_path / "a.pth", {"state_dict": source.state_dict()})
    init_weights_from(target, tmp_path / "a.pth", ["backbone"])
    assert torch.equal(target["backbone"].weight, source["backbone"].weight)
    assert torch.equal(target["backbone"].bias, source["backbone"].bias)
    assert torch.equal(target["head"].weight, before)


def test_wrapped_models_fit(tmp_path):
    source, target = two_parts(), two_parts()
    state = {f"module.{key}": value for key, value in source.state_dict().items()}
    load_weights(target, {"state_dict": state}, "a.pth")
    assert torch.equal(target["head"].weight, source["head"].weight)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("backbone.bias"), "only in the model: backbone.bias"),
        (
            lambda state: state.update({"backbone.more": torch.zeros(1)}),
            "only in the checkpoint: backbone.more",
        ),
        (lambda state: state.update({"backbone.weight": torch.zeros(5, 3)}), r"\(5, 3\).*\(2, 3\)"),
    ],
)
def test_parts_that_do_not_fit_are_refused(tmp_path, change, message):
    target = two_parts()
    before = {key: value.clone() for key, value in target.state_dict().items()}
    state = two_parts().state_dict()
    change(state)
    save(tmp_path / "a.pth", {"state_dict": state})
    with pytest.raises(LussError, match=message):
        init_weights_from(target, tmp_path / "a.pth", ["head", "backbone"])
    with pytest.raises(LussError, match=message):
        load_weights(target, load(tmp_path / "a.pth"), tmp_path / "a.pth")
    assert all(torch.equal(value, before[key]) for key, value in target.state_dict().items())

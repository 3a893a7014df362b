"""The pretrained encoder as tickets: its parts against other implementations, its stored run."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from sims import _protocol, _transformer, minilm
from sims._sentences import PAIRS, SENTENCES
from slth import plot
from slth.errors import BadInput
from slth.stats.verdict import State
from slth.ticket import load
from slth.verify import verify

FIGURES = Path(__file__).parents[1] / "sims" / "figures"
needs_weights = pytest.mark.skipif(
    not _transformer.installed(), reason="the extra minilm is not installed: 90 MB of weights"
)


@pytest.fixture(scope="module")
def small() -> _transformer.Encoder:
    return _transformer.untrained(SENTENCES, 8, 2, 2)


@pytest.fixture(scope="module")
def rows() -> list[dict]:
    return _protocol.read_table(FIGURES / "minilm.csv")


@pytest.fixture(scope="module")
def stored() -> dict:
    return json.loads((FIGURES / "minilm.json").read_text("utf-8"))


# -- the encoder -----------------------------------------------------------------------------------


def torchs_own(encoder: _transformer.Encoder, sentences: tuple[str, ...]) -> np.ndarray:
    """The same encoder from torch's layers, which share no code with ours."""
    get = encoder.parameters
    width = get["embeddings.LayerNorm.weight"].numel()
    ids = [_transformer.pieces(s, encoder.vocabulary) for s in sentences]
    longest = max(map(len, ids))
    padded = torch.tensor([row + [0] * (longest - len(row)) for row in ids])
    pad = torch.tensor([[k >= len(row) for k in range(longest)] for row in ids])
    y = get["embeddings.word_embeddings.weight"][padded]
    y = y + get["embeddings.position_embeddings.weight"][:longest]
    y = y + get["embeddings.token_type_embeddings.weight"][0]
    norm = torch.nn.LayerNorm(width, eps=1e-12, dtype=torch.float64)
    norm.load_state_dict({k: get[f"embeddings.LayerNorm.{k}"] for k in ("weight", "bias")})
    y = norm(y)
    for layer in range(encoder.layers):
        p = f"encoder.layer.{layer}."
        block = torch.nn.TransformerEncoderLayer(
            width, encoder.heads, 4 * width, 0.0, "gelu", 1e-12, batch_first=True,
            dtype=torch.float64,
        )  # fmt: skip
        state = {}
        for kind in ("weight", "bias"):
            joined = [get[f"{p}attention.self.{m}.{kind}"] for m in ("query", "key", "value")]
            state[f"self_attn.in_proj_{kind}"] = torch.cat(joined)
            for name, ours in (
                ("self_attn.out_proj", "attention.output.dense"), ("linear1", "intermediate.dense"),
                ("linear2", "output.dense"), ("norm1", "attention.output.LayerNorm"),
                ("norm2", "output.LayerNorm"),
            ):  # fmt: skip
                state[f"{name}.{kind}"] = get[f"{p}{ours}.{kind}"]
        block.load_state_dict(state)
        y = block.train()(y, src_key_padding_mask=pad)  # the path without fused kernels
    real = (~pad)[:, :, None]
    mean = (y * real).sum(1) / real.sum(1)
    return (mean / mean.norm(dim=1, keepdim=True)).detach().numpy()


def test_the_forward_pass_is_that_of_torchs_layers(small: _transformer.Encoder) -> None:
    """Biases and norms drawn too, or a missing one would not show."""
    rng = np.random.default_rng(1)
    parameters = {
        name: torch.from_numpy(rng.normal(0.3, 0.5, tuple(value.shape)))
        for name, value in small.parameters.items()
    }
    encoder = _transformer.Encoder(parameters, small.vocabulary, small.heads)
    mine = encoder.embed(SENTENCES[:9])
    assert np.abs(mine - torchs_own(encoder, SENTENCES[:9])).max() < 1e-12
    assert np.abs(mine - encoder.embed(SENTENCES[:9], {})).max() == 0
    alone = encoder.embed(SENTENCES[:1])  # no padding at all
    assert np.abs(mine[0] - alone[0]).max() < 1e-12


def test_what_stands_instead_of_a_map_is_used_and_its_bias_stays(small) -> None:  # type: ignore[no-untyped-def]
    def of(name: str):  # type: ignore[no-untyped-def]
        w = torch.from_numpy(small.matrix(name)).T
        return lambda y: y @ w

    same = {name: of(name) for name in small.maps()}
    assert len(same) == 12
    plain = small.embed(SENTENCES[:4])
    assert np.abs(small.embed(SENTENCES[:4], same) - plain).max() < 1e-13
    for name in same:
        none = {**same, name: lambda y, w=same[name]: 2 * w(y)}
        assert np.abs(small.embed(SENTENCES[:4], none) - plain).max() > 1e-6, name


def test_word_pieces_are_the_longest_that_are_known() -> None:
    known = ["[CLS]", "[SEP]", "[UNK]", "un", "unread", "##able", "##a", "##ble", "!", "cafe", "中"]
    vocabulary = {piece: k for k, piece in enumerate(known)}

    def cut(sentence: str) -> list[str]:
        return [known[k] for k in _transformer.pieces(sentence, vocabulary)[1:-1]]

    assert cut("Unreadable!") == ["unread", "##able", "!"]
    assert cut("Café \t UN\u200b") == ["cafe", "un"]
    assert cut("中中") == ["中", "中"]
    assert cut("unreadx un") == ["[UNK]", "un"]
    assert cut("un" + "a" * 99) == ["[UNK]"]  # too long a word is not looked at
    assert cut("un" + "a" * 98) == ["un"] + ["##a"] * 98
    assert cut("") == []


def test_safetensors_are_read_as_they_are_laid_out(tmp_path: Path) -> None:
    a, b = np.arange(6, dtype="<f4").reshape(2, 3) / 7, np.array([-1.5], dtype="<f4")
    header = {
        "__metadata__": {"format": "pt"},
        "b": {"dtype": "F32", "shape": [1], "data_offsets": [8, 12]},
        "ids": {"dtype": "I64", "shape": [1], "data_offsets": [0, 8]},
        "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [12, 36]},
    }
    text = json.dumps(header).encode()
    path = tmp_path / "m.safetensors"
    raw = len(text).to_bytes(8, "little") + text + bytes(8) + b.tobytes() + a.tobytes()
    path.write_bytes(raw)
    found = _transformer.read_safetensors(path)
    assert sorted(found) == ["a", "b"]
    assert (found["a"].numpy() == a.astype(float)).all()
    assert found["b"].item() == -1.5


def test_the_sentences_are_pairs_and_all_different() -> None:
    assert len(set(SENTENCES)) == len(SENTENCES) == 2 * len(PAIRS) == 48


# -- its tickets -----------------------------------------------------------------------------------


def test_a_matrix_cell_is_a_ticket_that_proves_itself(tmp_path: Path) -> None:
    name = "0.intermediate.dense"
    found = minilm.matrix(minilm.SMALL, name, 0.01, True, str(tmp_path))
    assert found["true"]
    assert found["unmet"] == 0
    assert found["lower"] <= found["upper"] <= 2 * found["lower"]
    f, ticket = minilm.target_of(minilm.SMALL, name), load(next(tmp_path.iterdir()))
    assert verify(ticket, f).ok
    assert found["kept_out"] == ticket.kept_out
    x = np.random.default_rng(0).normal(size=(50, f.dims[0]))
    acted = minilm.acting(ticket)(torch.from_numpy(x)).numpy()
    assert np.abs(acted - ticket(x)).max() < 1e-13
    gap = np.linalg.norm(acted - f(x), axis=1) / np.linalg.norm(x, axis=1)
    assert 0.01 * found["upper"] < gap.max() <= found["upper"]
    assert found["norm"] == pytest.approx(np.linalg.norm(f.weights[0], 2), rel=1e-9)


def test_a_device_finds_the_same_tickets(tmp_path: Path) -> None:
    name, files = "0.attention.self.query", []
    for device in ("cpu", "cpu:0"):
        minilm.cell(minilm.SMALL, minilm.MATRIX, name, 0.01, False, str(tmp_path), device)
        files.append(minilm.path_of(str(tmp_path), name, 0.01).read_bytes())
    assert files[0] == files[1]
    with pytest.raises(BadInput, match="cuda:63"):
        minilm.main.main(["--device", "cuda:63", "--smoke"], standalone_mode=False)


def test_a_lost_ticket_or_one_of_another_matrix_is_found_again(tmp_path: Path) -> None:
    one, other = "0.output.dense", "0.intermediate.dense"
    minilm.build(minilm.SMALL, other, 0.1).save(minilm.path_of(str(tmp_path), one, 0.1))
    for folder in (tmp_path, tmp_path / "empty"):
        ticket = minilm.ticket_of(minilm.SMALL, one, 0.1, str(folder))
        assert verify(ticket, minilm.target_of(minilm.SMALL, one)).ok


def test_dealt_lists_are_the_same_lists_of_the_same_blocks() -> None:
    ticket = minilm.build(minilm.SMALL, "0.intermediate.dense", 0.01)
    loose, outputs, moved = minilm.dealt(ticket, 0), ticket.source.dims[1], 0
    for old, new in zip(ticket.kept[0], loose.kept[0], strict=True):
        for block in range(ticket.source.dims[0]):
            lists = []
            for kept in (old, new):
                part = kept.blocks(outputs, block, block + 1)
                lists.append([part.indices[a:b].tolist() for a, b in pairwise(part.indptr)])
            assert sorted(lists[0]) == sorted(lists[1])
            moved += lists[0] != lists[1]
    assert moved > 10


def test_partners_and_correlation_by_hand() -> None:
    angles = np.array([0.0, 0.1, 1.0, 1.15, 2.23, 0.3])
    points = np.column_stack([np.cos(angles), np.sin(angles)])
    assert minilm.partners(points) == 4  # the last two are nearest to others
    similar = minilm.pairs(points)
    assert similar.size == 15
    plain = {"similarity": similar.tolist()}
    assert minilm.correlation({"similarity": (similar**3).tolist()}, plain) == pytest.approx(1)
    assert minilm.correlation({"similarity": (-similar).tolist()}, plain) == pytest.approx(-1)


def test_without_the_extra_one_line_says_what_to_install(monkeypatch, tmp_path, capsys) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(_transformer, "installed", lambda: False)
    monkeypatch.setattr("sys.argv", ["minilm", "--out", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as ended:
        _protocol.run(minilm.main)
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.count("\n") == 1
    assert "pip install 'slth[minilm]'" in said
    assert not (tmp_path / "out").exists()


# -- the stored run --------------------------------------------------------------------------------


def test_the_stored_verdicts_follow_from_the_stored_table(rows, stored) -> None:  # type: ignore[no-untyped-def]
    again = minilm.analyse(rows).to_json()
    for part in ("verdicts", "controls"):
        assert {k: v["state"] for k, v in again[part].items()} == {
            k: v["state"] for k, v in stored[part].items()
        }
    assert all(c["caught"] and c["state"] == "refuted" for c in stored["controls"].values())
    for a, b in zip(again["summary"], stored["summary"], strict=True):
        for key in ("kept", "parameters", "bytes", "partners", "weights"):
            assert a[key] == b[key]
        assert a["cosine"] == pytest.approx(b["cosine"])
        assert a["rank"] == pytest.approx(b["rank"])


def test_the_stored_run_is_whole(rows: list[dict]) -> None:
    matrices, wholes = minilm.split(rows)
    assert sum(r["weights"] for r in matrices if r["tolerance"] == 0.01) == 10_616_832
    assert [r["tolerance"] for r in wholes if r["part"] == minilm.HIT] == [*minilm.TOLERANCES]
    assert len(matrices) == 36 * len(minilm.TOLERANCES) + 6
    assert max(r["largest"] for r in matrices) <= 8  # the class constant that N was chosen for
    assert all(r["lower"] <= r["upper"] for r in matrices if r["lower"] is not None)
    assert {r["attacked"] for r in matrices if r["tolerance"] == minilm.ATTACKED} == {True}


@needs_weights
def test_the_weights_spread_as_the_readme_says() -> None:
    encoder = minilm.encoder(minilm.REAL)
    spread = np.concatenate([encoder.matrix(name).ravel() for name in encoder.maps()]).std()
    assert 0.055 < spread < 0.065


def test_a_cosine_below_the_threshold_refutes() -> None:
    assert minilm.alike({"apart": [0.0, 0.02]}, 0.98).state == State.SUPPORTED
    assert minilm.alike({"apart": [0.0, 0.021]}, 0.98).state == State.REFUTED


def test_the_figure_has_labels_units_intervals_and_no_overlap(rows, tmp_path) -> None:  # type: ignore[no-untyped-def]
    fig = minilm.figure(rows, minilm.analyse(rows), tmp_path)
    assert plot.check(fig, ["tickets", "control: lists dealt", *minilm.KINDS.values()]) == []
    assert all((tmp_path / f"minilm.{kind}").stat().st_size for kind in plot.FORMATS)


def test_the_readmes_table_is_the_stored_one(stored: dict) -> None:
    text = (FIGURES.parents[1] / "README.md").read_text("utf-8")
    shown = text.split("<!-- minilm -->")[1].split("<!-- /")[0]
    assert shown.strip() == minilm.markdown(stored).strip()
    assert minilm.prose(stored) in text


# -- with the weights ------------------------------------------------------------------------------


@needs_weights
def test_the_plain_encoder_embeds_as_its_own_library_does() -> None:
    library = pytest.importorskip("sentence_transformers")
    from importlib.resources import files

    model = library.SentenceTransformer(str(files(_transformer.PACKAGE) / "model"), device="cpu")
    mine = minilm.encoder(minilm.REAL).embed(SENTENCES)
    assert np.abs(mine - model.encode(list(SENTENCES))).max() < 1e-5  # float32 there


@needs_weights
def test_word_pieces_are_those_of_the_models_own_tokenizer() -> None:
    library = pytest.importorskip("tokenizers")
    from importlib.resources import files

    odd = [
        "Café naïve!! $5+3 <tag> 中文字 😀 supercalifragilisticexpialidocious", "tab\tnew\n\u00a0",
        "", "Ⅷ ½ ﬁ § “quotes” — dash…", "a" * 150, "İstanbul STRAßE ẞ", "don't re-do 3.14 #tag @me",
        "\u0000x\ufffdy", "한국어 にほん",
    ]  # fmt: skip
    theirs = library.Tokenizer.from_file(str(files(_transformer.PACKAGE) / "model/tokenizer.json"))
    theirs.no_truncation()
    theirs.no_padding()
    vocabulary = minilm.encoder(minilm.REAL).vocabulary
    for sentence in (*SENTENCES, *odd):
        assert _transformer.pieces(sentence, vocabulary) == theirs.encode(sentence).ids, sentence


@needs_weights
def test_a_cell_of_the_table_is_what_its_seed_gives(rows: list[dict], tmp_path: Path) -> None:
    name = "5.attention.self.value"
    row = next(r for r in rows if (r["name"], r["tolerance"]) == (name, 0.03))
    again = minilm.matrix(minilm.REAL, name, 0.03, False, str(tmp_path))
    for key in ("kept", "kept_out", "worst_weight", "unmet", "parameters", "largest"):
        assert again[key] == row[key], key
    assert again["upper"] == pytest.approx(row["upper"], rel=1e-6)
    assert math.isclose(again["norm"], row["norm"], rel_tol=1e-6)

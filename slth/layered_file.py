"""A layered ticket's file: a header, and for every layer the kept columns of its rows.

Layer t: `count_t.npy`, how many columns each row keeps, `index_t.npy`, which, and `bias_t.npy`, the
outputs whose bias is kept, all as the smallest integers that hold the layer's widths.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slth import mask_file
from slth.errors import BadInput
from slth.files import write_atomically
from slth.kept import Kept, narrow
from slth.layered import LayeredSource
from slth.layered_ticket import LayeredTicket
from slth.ticket import Claim

KIND, FORMAT = "layered", 1


def write(ticket: LayeredTicket, path: str | Path) -> None:
    """What `LayeredTicket.save` writes."""
    header = {
        "kind": KIND,
        "format": FORMAT,
        "source": ticket.source.to_json(),
        "claim": ticket.claim.to_json(),
        "certificate": ticket.certificate,
    }
    with (
        write_atomically(path) as stream,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        text = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
        _add(archive, "header", text, np.uint8)
        for t, (kept, bias) in enumerate(zip(ticket.kept, ticket.kept_bias, strict=True)):
            out, into = (narrow(size) for size in ticket.source.shape(t))
            _add(archive, f"count_{t}", kept.counts, into)
            _add(archive, f"index_{t}", kept.indices, into)
            _add(archive, f"bias_{t}", bias, out)


def read(path: str | Path) -> LayeredTicket:
    """What `slth.layered_ticket.load` reads."""
    try:
        with zipfile.ZipFile(path) as archive:
            with archive.open("header.npy") as part:
                header = json.loads(mask_file.text(part))
            kind = (header.get("kind", "gadgets"), header["format"])
            if kind != (KIND, FORMAT):
                got, allowed = f"{kind[0]} format {kind[1]}", f"{KIND} format {FORMAT}"
                raise BadInput(str(path), got, allowed, "read it by slth.ticket.load")
            source = LayeredSource.from_json(header["source"])
            claim = Claim.from_json(header["claim"])
            layers = [_layer(archive, source, t) for t in range(source.layers)]
            kept, biases = zip(*layers, strict=True)
            return LayeredTicket(source, kept, biases, claim, header["certificate"])
    except BadInput:
        raise
    except mask_file.DAMAGE as error:
        raise mask_file.damaged(path, error) from None


def layered(path: str | Path) -> bool:
    """Whether a file says that it is a layered ticket; False also for what is no ticket at all."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open("header.npy") as part:
            return bool(json.loads(mask_file.text(part)).get("kind") == KIND)
    except mask_file.DAMAGE:
        return False


def _layer(
    archive: zipfile.ZipFile, source: LayeredSource, t: int
) -> tuple[Kept, NDArray[np.int64]]:
    counts = _vector(archive, f"count_{t}", source.widths[t + 1])
    if not ((counts >= 0) & (counts <= source.widths[t])).all():
        raise ValueError(f"layer {t} keeps {counts.min()} to {counts.max()} a row")
    indices = _vector(archive, f"index_{t}", int(counts.sum()))
    return Kept.of_counts(counts, indices), _vector(archive, f"bias_{t}", None)


def _add(archive: zipfile.ZipFile, name: str, values: NDArray[Any], kind: Any) -> None:
    with mask_file.writing(archive, name, kind, values.size) as part:
        part.write(values.astype(kind).tobytes())


def _vector(archive: zipfile.ZipFile, name: str, size: int | None) -> NDArray[np.int64]:
    """A vector of a file, of this many whole numbers where their number is known."""
    with archive.open(f"{name}.npy") as stream:
        vector = mask_file.Vector(stream)
        if size is not None and vector.left != size:
            raise ValueError(f"{name} has {vector.left} entries in place of {size}")
        values = vector.take(vector.left)
        vector.end()
    return values

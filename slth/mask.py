"""The one top-k selection and mask convention: True is kept, density is the kept fraction."""

from __future__ import annotations

import math
import operator
import sys
from typing import TYPE_CHECKING, Any, cast, overload

import numpy as np

from slth.errors import BadInput

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from torch import Tensor

_COUNT_REMEDY = "use count_for(density, size)"


@overload
def keep_top(scores: Tensor, k: int, *, alive: Tensor | ArrayLike | None = None) -> Tensor: ...
@overload
def keep_top(
    scores: ArrayLike, k: int, *, alive: Tensor | ArrayLike | None = None
) -> NDArray[np.bool_]: ...
def keep_top(
    scores: Tensor | ArrayLike, k: int, *, alive: Tensor | ArrayLike | None = None
) -> Tensor | NDArray[np.bool_]:
    """Keep exactly the k highest scores; among equal scores the lower C-order index wins.

    scores: any shape, strides and real dtype, NumPy array or torch tensor; infinities rank as
    they should. alive: same shape, True where a weight still lives; pruned ones rank below every
    living one whatever their score, so they come back only when k exceeds the living count.
    Returns a new boolean mask of the same kind, shape and device. Raises BadInput on NaN, on a
    dtype without an order, on an alive of another shape and on k outside 0..size.
    """
    torch = _torch_of(scores)
    if torch is None:
        values = np.asarray(scores)
        if values.dtype.kind not in "biuf":
            raise BadInput("scores", values.dtype, "a real dtype", "cast the scores to float64")
        count = _checked_count(k, values.size)
        living = None if alive is None else _flat_alive(alive, values.shape)
        flat = values.reshape(-1)  # logical C order, whatever the strides
        return _keep(flat.view(np.uint8) if flat.dtype == bool else flat, count, living).reshape(
            values.shape
        )

    tensor = cast("Tensor", scores).detach()
    if tensor.layout is not torch.strided or tensor.is_complex() or tensor.is_quantized:
        got = f"{tensor.dtype}, {tensor.layout}"
        raise BadInput("scores", got, "a dense real tensor", "call .to_dense() or take .abs()")
    shape = tuple(tensor.shape)
    count = _checked_count(k, tensor.numel())
    living = None if alive is None else _flat_alive(alive, shape)
    line = tensor.reshape(-1).resolve_neg()
    if line.dtype is torch.bool:
        line = line.to(torch.uint8)
    elif line.is_floating_point() and line.itemsize < 4:
        line = line.float()  # exact, and NumPy knows neither bfloat16 nor the 8-bit floats
    if line.device.type == "cpu":
        return cast("Tensor", torch.from_numpy(_keep(line.numpy(), count, living)).reshape(shape))
    return _keep_on_device(torch, line, count, living).reshape(shape)


@overload
def ranks(scores: Tensor) -> Tensor: ...
@overload
def ranks(scores: ArrayLike) -> NDArray[np.intp]: ...
def ranks(scores: Tensor | ArrayLike) -> Tensor | NDArray[np.intp]:
    """Each score's place among all, 0 the highest: `ranks(scores) < k` is `keep_top(scores, k)`.

    Of the same kind, shape and device: one sort for every k at once. Raises BadInput on NaN.
    """
    torch = _torch_of(scores)
    if torch is None:
        values = np.asarray(scores)
        if values.dtype.kind == "f" and np.isnan(values).any():
            raise _nan()
        # reversed twice: ascending and stable becomes descending with the lower index first
        places = np.empty(values.size, dtype=np.intp)
        order = np.argsort(values.reshape(-1)[::-1], kind="stable")
        places[values.size - 1 - order[::-1]] = np.arange(values.size)
        return places.reshape(values.shape)
    line = cast("Tensor", scores).detach().reshape(-1)
    if line.is_floating_point() and bool(line.isnan().any()):
        raise _nan()
    # + 0 makes −0 a 0: sorts by bits would part them, keep_top holds them equal
    order = torch.sort(line + 0, descending=True, stable=True).indices
    where = torch.empty_like(order)
    where[order] = torch.arange(line.numel(), device=line.device)
    return cast("Tensor", where.reshape(cast("Tensor", scores).shape))


def count_for(density: float, size: int) -> int:
    """How many of `size` weights a density keeps: density * size to nearest, halves to even.

    So count_for(k / size, size) == k for every k; raises BadInput outside [0, 1].
    """
    if not 0.0 <= density <= 1.0:
        remedy = "density is the fraction kept; for a compression c pass 1 / c"
        raise BadInput("density", density, "a number in [0, 1]", remedy)
    if size < 0:
        raise BadInput("size", size, "a count of at least 0", "pass the number of weights")
    return round(density * size)


def density(mask: Tensor | ArrayLike) -> float:
    """Fraction kept of a binary mask (booleans, or numbers that are all 0 or 1)."""
    kept, size = _kept_and_size(mask)
    return kept / size


def compression(mask: Tensor | ArrayLike) -> float:
    """Original count over kept count, 1 / density; infinite when nothing is kept."""
    kept, size = _kept_and_size(mask)
    return size / kept if kept else math.inf


def _keep(flat: NDArray[Any], k: int, alive: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """The selection on a line of scores, by partition: linear in its length, as no sort is."""
    if flat.dtype.kind == "f" and flat.size and np.isnan(flat.max()):
        raise _nan()
    if alive is None:
        return _top(flat, k)
    kept = np.zeros(flat.size, dtype=bool)
    living, dead = np.flatnonzero(alive), np.flatnonzero(~alive)
    first = min(k, living.size)
    kept[living] = _top(flat[living], first)
    kept[dead] = _top(flat[dead], k - first)
    return kept


def _top(flat: NDArray[Any], k: int) -> NDArray[np.bool_]:
    if k == 0:
        return np.zeros(flat.size, dtype=bool)
    # Comparing against the k-th value alone keeps too many or too few when it is tied, so the
    # tied ones are counted off in index order.
    threshold = np.partition(flat, flat.size - k)[flat.size - k]
    kept: NDArray[np.bool_] = flat >= threshold
    if np.count_nonzero(kept) > k:
        kept = flat > threshold
        kept[np.flatnonzero(flat == threshold)[: k - np.count_nonzero(kept)]] = True
    return kept


def _keep_on_device(torch: Any, flat: Tensor, k: int, alive: NDArray[np.bool_] | None) -> Tensor:
    """The same selection in torch operations, so that scores never leave their device."""
    if flat.is_floating_point() and bool(flat.isnan().any()):
        raise _nan()
    if alive is None:
        return _top_on_device(torch, flat, k)
    kept = cast("Tensor", torch.zeros_like(flat, dtype=torch.bool))
    on = torch.from_numpy(alive).to(flat.device)
    living, dead = on.nonzero().reshape(-1), (~on).nonzero().reshape(-1)
    first = min(k, living.numel())
    kept[living] = _top_on_device(torch, flat[living], first)
    kept[dead] = _top_on_device(torch, flat[dead], k - first)
    return kept


def _top_on_device(torch: Any, flat: Tensor, k: int) -> Tensor:
    if k == 0:
        return cast("Tensor", torch.zeros_like(flat, dtype=torch.bool))
    threshold = flat.kthvalue(flat.numel() - k + 1).values
    above, tied = flat > threshold, flat == threshold
    # counted on the device: a number that travelled to the host would stall the queue
    return above | (tied & (tied.cumsum(0) <= k - above.sum()))


def _torch_of(value: object) -> Any:
    """The torch module when `value` is its tensor: an array never pays for importing torch."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and isinstance(value, torch.Tensor) else None


def _checked_count(k: int, size: int) -> int:
    try:
        count = operator.index(k)
    except TypeError:
        raise BadInput("k", k, f"a whole number from 0 to {size}", _COUNT_REMEDY) from None
    if isinstance(k, bool | np.bool_) or not 0 <= count <= size:
        raise BadInput("k", k, f"a whole number from 0 to {size}", _COUNT_REMEDY)
    return count


def _flat_alive(alive: Tensor | ArrayLike, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    mask = _binary("alive", alive)
    if mask.shape != shape:
        raise BadInput("alive", mask.shape, f"the scores' shape {shape}", "mask the same weights")
    return mask.reshape(-1)


def _kept_and_size(mask: Tensor | ArrayLike) -> tuple[int, int]:
    array = _binary("mask", mask)
    if array.size == 0:
        raise BadInput("mask", array.shape, "at least one weight", "drop layers without weights")
    return int(np.count_nonzero(array)), array.size


def _binary(name: str, mask: Tensor | ArrayLike) -> NDArray[np.bool_]:
    if _torch_of(mask) is not None:
        # compared by torch first: NumPy knows neither bfloat16 nor a tensor on a GPU
        tensor = cast("Tensor", mask).detach()
        binary = bool(((tensor == 0) | (tensor == 1)).all())
        array = (tensor == 1).cpu().numpy()
    else:
        given = np.asarray(mask)
        array = np.asarray(given == 1, dtype=bool)
        binary = given.dtype.kind in "biuf" and bool((array | (given == 0)).all())
    if not binary:
        raise BadInput(
            name, "other values than 0 and 1", "a binary mask", "use keep_top(scores, k)"
        )
    return cast("NDArray[np.bool_]", array)


def _nan() -> BadInput:
    remedy = "a NaN has no rank: find the overflow that made it, or compute scores in float64"
    return BadInput("scores", "NaN", "numbers and infinities", remedy)

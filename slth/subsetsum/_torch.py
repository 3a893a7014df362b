"""What the torch solvers share: a device, rows without their zeros, and the nearest signed sum.

Only additions, subtractions and comparisons of float64 are used, in the order of `_kernels`, so
every machine meets the same floats. All sums are signed and doubled: see the note there.
"""

from __future__ import annotations

import threading
from importlib.util import find_spec
from typing import TYPE_CHECKING

from slth.errors import BadInput

if TYPE_CHECKING:
    import torch

    Tensor = torch.Tensor

ONE_AT_A_TIME = threading.Lock()  # callers in several threads would share the device's memory
ENTRY = 128  # bytes that `nearest` holds for each sum of the larger half
ON_CPU = 1 << 26  # bytes of a batch there
SHARE = 4  # of what a GPU has free, a batch takes one part in so many
TRITON_MOST = 24  # values a row whose half-sums fit the registers of one block


def device_named(name: str) -> torch.device:
    """The torch device of that name. Raises BadInput where it is not there or lacks float64."""
    import torch

    seen = torch.cuda.device_count() if torch.cuda.is_available() else 0
    allowed = "cpu" + "".join(f", cuda:{k}" for k in range(seen))
    try:
        device = torch.device(name)
    except RuntimeError:
        device = torch.device("meta")
    if device.type != "cpu" and not (device.type == "cuda" and (device.index or 0) < seen):
        remedy = f"choose one of these (torch {torch.__version__} here sees {seen} GPUs)"
        raise BadInput("device", name, allowed, remedy)
    return device


def fitting(each: int, device: torch.device) -> int:
    """How many rows of so many bytes fit the device's memory, at least one."""
    import torch

    room = torch.cuda.mem_get_info(device)[0] // SHARE if device.type == "cuda" else ON_CPU
    return max(1, room // each)


def first_usable(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """(the first `count` non-zero values of each row, their places), both `[R, count]`.

    values: `[R, n]`. Rows with fewer go on with zeros, at place n.
    """
    import torch

    rows, n = values.shape
    usable = values != 0
    rank = usable.cumsum(1) - 1
    to = rank.where(usable & (rank < count), count)  # one column more, for all others
    packed = values.new_zeros((rows, count + 1)).scatter_(1, to, values)
    column = torch.arange(n, device=values.device).expand_as(to)
    place = torch.full_like(packed, n, dtype=torch.int64).scatter_(1, to, column)
    return packed[:, :count].contiguous(), place[:, :count]


def nearest(values: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """(distance `[R]`, plus `[R, n]` bool): the signed sum of each row nearest to what is wanted.

    values: `[1 or R, n]`, wanted: `[R]`. Let x be a sum of the values at even places, less what is
    wanted, and y minus a sum of those at odd places: the distance is |x - y|, rounded. Of several
    nearest pairs that with the least x counts, then that with the least y, then the least sum at
    even places, then the first signs in binary order: those that the walk in `_kernels` meets
    first. So zeros at a row's end change nothing, and never count plus.
    """
    import torch

    if values.is_cuda and values.shape[1] <= TRITON_MOST and find_spec("triton"):
        from slth.subsetsum._triton import nearest_signs
    else:
        nearest_signs = nearest_signs_by_search
    distance, even, odd = nearest_signs(values, wanted)
    plus = torch.empty((len(wanted), values.shape[1]), dtype=torch.bool, device=values.device)
    for first, signs in ((0, even), (1, odd)):
        bit = torch.arange(plus[:, first::2].shape[1], device=values.device)
        plus[:, first::2] = (signs[:, None] >> bit & 1).bool()
    return distance, plus


def nearest_signs_by_search(values: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(distance, signs at even places, signs at odd ones), all `[R]`; bit 1 stands for plus.

    About `ENTRY` bytes for each of the 2^ceil(n/2) sums of a row.
    """
    import torch

    even, odd = _signed_sums(values[:, 0::2]), _signed_sums(values[:, 1::2])
    x, y = even - wanted[:, None], odd.sort(dim=1).values
    x = x.expand(len(wanted), -1).contiguous()
    y = y.expand(len(wanted), -1)
    above = torch.searchsorted(y.contiguous(), x).clamp_(max=y.shape[1] - 1)
    near = (x - y.gather(1, above)).abs_()
    near = torch.minimum(near, (x - y.gather(1, (above - 1).clamp_(min=0))).abs_())
    best = near.amin(1, keepdim=True)
    best_x = x.where(near == best, torch.inf).amin(1, keepdim=True)
    best_y = odd.where((best_x - odd).abs_() == best, torch.inf).amin(1, keepdim=True)
    best_even = even.where(x == best_x, torch.inf).amin(1, keepdim=True)
    return best[:, 0], first_match(even == best_even), first_match(odd == -best_y)


def _signed_sums(values: Tensor) -> Tensor:
    """`[R, 2^k]`: all signed sums of values `[R, k]`; at each place, its bits are the signs."""
    import torch

    sums = values.new_zeros((len(values), 1))
    for value in values.unbind(1):
        sums = torch.cat([sums - value[:, None], sums + value[:, None]], dim=1)
    return sums


def first_match(match: Tensor) -> Tensor:
    """`[R]`: the first place of each row that matches."""
    import torch

    place = torch.arange(match.shape[1], device=match.device)
    return place.where(match, match.shape[1]).amin(1)

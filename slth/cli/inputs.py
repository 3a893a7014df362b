"""What the commands work with: model, domain, construction, source, certificate, output path."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from slth.errors import BadInput

if TYPE_CHECKING:
    from slth.construct import Construction
    from slth.domain import Domain
    from slth.laws import Law
    from slth.layered_ticket import LayeredTicket
    from slth.network import Network
    from slth.source import Source
    from slth.target import Target
    from slth.ticket import Ticket


def shape(text: str | None) -> tuple[int, ...] | None:
    """`3,64,64` as a shape."""
    if text is None:
        return None
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise BadInput("--shape", text, "whole numbers", "write 3,64,64") from None


def target(model: str, state: str | None, size: tuple[int, ...] | None = None) -> Target | Network:
    """The network to approximate; what a damaged file or a user's factory raises is BadInput."""
    import warnings

    from slth import models

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of pickles that it then refuses
            return models.read(model, state, size)
    except (BadInput, OSError, MemoryError):
        raise
    except Exception as error:
        raise BadInput(
            "MODEL",
            f"{type(error).__name__} while reading {model}: {error}",
            "a Sequential saved by torch.save, or a factory that returns a module",
            "save the model anew, or run the factory by itself to see where it fails",
        ) from error


def ticket(path: str) -> Ticket | LayeredTicket:
    """The ticket in a file. A flipped bit may upset any of zip, zlib, numpy and json."""
    from slth.ticket import load

    try:
        return load(path)
    except (BadInput, OSError, MemoryError):
        raise
    except Exception as error:
        raise BadInput(
            path, f"{type(error).__name__}: {error}", "a ticket file", "make the ticket anew"
        ) from error


def searched(path: str) -> bool:
    """Whether the file holds masks that a search found, not a ticket of gadgets."""
    import json
    import zipfile

    from slth import mask_file

    try:
        with zipfile.ZipFile(path) as archive, archive.open("header.npy") as part:
            return bool(json.loads(mask_file.text(part)).get("kind") == "supermask")
    except mask_file.DAMAGE:
        return False


def domain(
    target: Target | Network, ball: float | None, box: tuple[float, float] | None
) -> Domain | None:
    import numpy as np

    from slth.domain import Ball, Box

    if ball is not None and box is not None:
        raise click.UsageError("--ball and --box: give one of them", click.get_current_context())
    if box is not None:
        return Box(np.full(target.inputs, box[0]), np.full(target.inputs, box[1]))
    return None if ball is None else Ball(ball, target.inputs)


def construction(make: Any, domain: Domain | None) -> Construction:
    from dataclasses import fields

    if domain is None:
        built: Construction = make()
    elif "domain" in {f.name for f in fields(make.func)}:
        built = make(domain=domain)
    else:
        name = make.func.__module__.rsplit(".", 1)[-1]
        raise click.UsageError(f"the construction {name} takes no --ball and no --box")
    return built


def source(
    make: Construction,
    target: Target | Network,
    n: int | None,
    seed: int,
    law: Law,
    present: float,
    locked: float,
) -> Source:
    frozen = {"present": present} if present != 1 else {}
    frozen |= {"locked": locked} if locked else {}
    try:
        return make.source_for(target, seed, n, law=law, **frozen)
    except TypeError as error:
        name = next((name for name in frozen if repr(name) in str(error)), None)
        if name is None:
            raise
        raise BadInput(f"--{name}", frozen[name], "nothing here", "leave it out") from None


def certified(ticket: Ticket, target: Target | Network, restarts: int, steps: int) -> Ticket:
    """The ticket with its certificate, which says how its witness was found."""
    from slth.domain import from_json

    attack = {"seed": 0, "restarts": restarts, "steps": steps}
    found = ticket.certified(target, from_json(dict(ticket.claim.domain)), **attack)
    return ticket.with_certificate({**found.to_json(), **attack})


def check_output(path: Path | None) -> None:
    """Refuse a path that cannot be written before anything is computed for it."""
    if path is None:
        return
    folders = path.absolute().parents  # none: the root itself, which the next line refuses
    there = next((folder for folder in folders if os.path.lexists(folder)), path)
    if path.is_dir() or not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        raise BadInput("--out", path, "a file in a folder that can be written", "choose another")


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BadInput(
            "--out",
            f"{path}: {error.strerror}",
            "a file that can be written",
            "choose another path",
        ) from None

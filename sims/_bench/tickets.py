"""Whole networks: the digits target, 784-500-10 by first hit, and the published experiment."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from sims._bench import SEED, Row, in_fresh_process, plural, timed


def tickets() -> Iterator[Row]:
    from slth.certify import certify
    from slth.construct.pensia import Pensia
    from slth.domain import Ball
    from slth.nets import digits

    group, target = "a ticket and its certificate, digits network 64-128-10, n = 40", digits.load()
    best = Pensia()
    source, ball = best.source_for(target, SEED, 40), Ball(1.0, 64)
    ticket = best.build(target, source)

    def whole() -> None:
        certify(target, best.build(target, source).effective, ball)

    yield timed(group, "both", "ticket", whole, repeats=5, goal=5.0)
    yield timed(group, "the ticket", "ticket", lambda: best.build(target, source), repeats=5)
    found = certify(target, ticket.effective, ball)
    yield timed(
        group, "the certificate", "ticket", lambda: certify(target, ticket.effective, ball),
        repeats=5, note=f"upper/lower = {found.upper / found.lower:.2f}",
    )  # fmt: skip
    yield from published()
    seconds, peak, note = in_fresh_process(MNIST)
    group = "a ticket of 397,000 weights, both halves"
    name = "784-500-10 at tolerance 4e-6, first hit"
    yield Row(group, name, "ticket", seconds, (seconds, seconds), 1, 90.0, note, peak=peak)


def published() -> Iterator[Row]:
    """The experiment of Pensia et al. (2020), as `sims.pensia_experiment` times it."""
    from sims import pensia_experiment as experiment

    group = "the published experiment, 397,000 subset sums"
    times = experiment.times("mnist5k", 3)
    for part, goal in ((experiment.SHARED, 3.0), (experiment.TICKET, 15.0)):
        seconds, cores = times[part]["seconds"], times[part]["core_seconds"]
        name = f"{part}, n = {times['n'][part]}, {plural(times['cores'])}"
        yield Row(
            group, name, "network", median(seconds), (seconds[0], seconds[-1]), len(seconds), goal,
            core_seconds=median(cores),
        )  # fmt: skip


MNIST = """
import time
from slth.construct.pensia import Pensia
from slth.nets import mnist
target = mnist.train_m5k(0)
make = Pensia(tolerance=4e-6)
small = Pensia(tolerance=1e-2)
small.build(target, small.source_for(target, 1, 8))
start = time.perf_counter()
ticket = make.build(target, make.source_for(target, 20, 128))
seconds = time.perf_counter() - start
print(seconds, peak(), f"{ticket.claim.unmet} gadgets unmet, density {ticket.density:.4f}", sep="|")
"""

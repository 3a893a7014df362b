"""A bar with an honest time left; on anything but a terminal, a line every ten seconds."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

DRAW_SECONDS = 0.2
"""Seconds between two drawings of the bar: adding up what is left takes time too."""

QUIET_SECONDS = 10.0
"""Seconds between lines where there is no terminal to draw on."""


class Clock:
    """Learns what a unit of cost takes and says how long the rest will.

    The rest is spread over the workers, but never shorter than its longest cell; cells in flight
    count for what they have already run.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.cost = 0.0

    def learn(self, cost: float, seconds: float) -> None:
        """One finished cell of ``cost`` took ``seconds``."""
        self.cost += cost
        self.seconds += seconds

    def left(self, waiting: list[float], running: list[tuple[float, float]], workers: int) -> float:
        """Seconds left for the costs ``waiting`` and ``running`` (cost, seconds so far), or NaN."""
        if self.cost <= 0:
            return float("nan")
        rate = self.seconds / self.cost
        rest = [cost * rate for cost in waiting]
        rest += [max(cost * rate - elapsed, 0.0) for cost, elapsed in running]
        return max(sum(rest) / max(workers, 1), max(rest, default=0.0))


def spoken(seconds: float) -> str:
    """A duration the way one would say it: ``about 40 s``, ``about 3 min``, ``about 2.5 h``."""
    if seconds != seconds:
        return "time left unknown"
    if seconds < 90:
        return f"about {max(1, round(seconds))} s left"
    if seconds < 5400:
        return f"about {round(seconds / 60)} min left"
    return f"about {seconds / 3600:.1f} h left"


class Progress:
    """Draws on standard error; a context manager.  ``show=False`` draws nothing at all."""

    def __init__(self, name: str, total: int, show: bool) -> None:
        from rich.console import Console

        self.name, self.total, self.show = name, total, show
        self.console = Console(stderr=True)
        self.bar: Bar | None = None
        self.spoke = time.monotonic()
        self.drawn = -DRAW_SECONDS

    def __enter__(self) -> Progress:
        if self.show and self.console.is_terminal:
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
            from rich.progress import Progress as Bar

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
            # Redrawn from the dispatcher's own loop: no thread beside the processes.
            self.bar = Bar(
                *columns,
                TextColumn("{task.fields[left]}"),
                console=self.console,
                auto_refresh=False,
            )
            self.bar.start()
            self.bar.add_task(self.name, total=self.total, left="")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.bar is not None:
            self.bar.stop()

    def due(self) -> bool:
        """Whether it is time to draw again."""
        return self.show and time.monotonic() - self.drawn >= DRAW_SECONDS

    def update(self, done: int, left: float) -> None:
        """Show ``done`` cells and ``left`` seconds to go."""
        self.drawn = time.monotonic()
        text = spoken(left) if done < self.total else ""
        if self.bar is not None:
            self.bar.update(self.bar.task_ids[0], completed=done, left=text)
            self.bar.refresh()
        elif self.show and time.monotonic() - self.spoke >= QUIET_SECONDS:
            self.spoke = time.monotonic()
            self.say(f"{self.name}: {done} of {self.total} cells, {text or 'done'}")

    def say(self, line: str) -> None:
        """One plain line on standard error."""
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

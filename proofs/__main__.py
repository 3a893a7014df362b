"""`python -m proofs [THEOREM ...]`: check the steps, print the ledger; exit 1 if one fails.

Exit status 2 on a theorem that is not there.
"""

from __future__ import annotations

import sys
from collections import Counter

from proofs import Outcome, run, theorems


def main(arguments: list[str]) -> int:
    known = theorems()
    if unknown := [name for name in arguments if name not in known]:
        sys.stderr.write(f"theorem: got {unknown[0]}; allowed: {', '.join(known)}\n")
        return 2
    counts = dict.fromkeys(Outcome, 0)
    checkers: Counter[str] = Counter()
    for name in arguments or known:
        sys.stdout.write(f"{name}\n")
        for entry in run(name):
            counts[entry.outcome] += 1
            if entry.outcome is Outcome.PROVED:
                checkers[entry.step.checker] += 1
            line = f"  {entry.outcome:8}  {entry.step.checker:11}  {entry.seconds:6.2f} s"
            sys.stdout.write(f"{line}  {entry.step.sentence}\n")
            if entry.reason:
                sys.stdout.write(f"{'':34}-> {entry.reason}\n")
            sys.stdout.flush()
    total = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
    sys.stdout.write(f"steps: {total}\n")
    words = ", ".join(f"{count} {checker}" for checker, count in sorted(checkers.items()))
    sys.stdout.write(f"proved by: {words} (exact: finitely many cases each)\n")
    return int(bool(counts[Outcome.REJECTED] or counts[Outcome.NOT_RUN]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

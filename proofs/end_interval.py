"""Values of a symmetric law with a falling density: an interval at an end of J grows least.

Theorem. Let X have, off 0, a symmetric density f that falls in |z|; Φ(x) = ∫_0^x (x − t) f(t) dt.
Let J be an interval of length Λ, C a measurable subset, W = J \\ C, v = |C|, w = Λ − v and N(X) =
|(C + X) ∩ W|. Then E N(X) >= Φ(Λ) − Φ(v) − Φ(w), with equality where C lies at one end of J. So E
h(N(X)) <= h(m) for every falling line h and m at most that, and the program of
`proofs.coverage_program` with lines alone serves [−R, R] from J = [−R − b, R + b].

u v with u, v uniform on [−1, 1] has f = ½ ln(1/|z|), Φ(x) = (3 x² − 2 x² ln x)/8 up to 1 and
3/8 + (x − 1)/2 beyond; uniform values have Φ(x) = x²/4 and ¼ + (x − 1)/2.

Proof. (1) E N(X) = ∫_W ∫_C f(z − y) dy dz, since z = y never happens. J × J is made of C × C, W ×
W, W × C and C × W, and the last two have equal integrals. (2) By Riesz's inequality ∫_C ∫_C f(z −
y) is at most that of an interval of length v, and likewise for W. (3) The difference of two points
of an interval of length x is t away with density 2 (x − t), so its ∫ ∫ f is 2 Φ(x). Hence 2 E N(X)
>= 2 Φ(Λ) − 2 Φ(v) − 2 Φ(w); where C is at an end, W is an interval too. (4) Φ'' = f. ∎

On a lattice, with f = 1 on [−r, r], this needs no Riesz: in a word of w zeros and some ones let D
count the unequal pairs at most r apart, and take away an end letter, say 0. Of its n neighbours
within r at most min(n, w − 1) are 0, and just so many are next to the end 0 of the sorted word
0…01…1; the rest is shorter, by induction. Unions of lattice cells come as near in measure to C as
one likes, and falling densities are mixtures of those on [−r, r]: a second proof.

What is checked. Each step for all reals; the mean exactly for every union of 8 cells and the
densities 1 on [−r, r], and the pairs for all words of up to 11 letters; that for uniform values the
mean is the v w/2 − b² of `proofs.rearrangement`.

What is not. Riesz's inequality and what else is named as assumed; of the second proof, its last
sentence, but for the product's density.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from typing import Any

from proofs import Step
from proofs.checkers import Implication
from proofs.diamond import size
from proofs.product_law import negative
from proofs.rearrangement import smaller

CELLS = 8
LETTERS = 11


def steps() -> tuple[Step, ...]:
    return (
        Step(
            "∀ measurable C, W: E |(C + X) ∩ W| = ∫_W ∫_C f(z − y) dy dz (Tonelli), and J × J is "
            "the disjoint union of C × C, W × W, C × W and W × C",
            "assumed",
        ),
        Step(
            "∀ C of measure v, falling symmetric f: ∫_C ∫_C f(z − y) <= ∫_{C*} ∫_{C*} f(z − y) "
            "(F. Riesz 1930)",
            "assumed",
        ),
        Step(
            "∀ x, f = 1, t, t², t³, ln t and 1 on [0, r] (r <= x): "
            "∫_0^x ∫_0^x f(|z − y|) = 2 ∫_0^x (x − t) f(t) dt = 2 Φ(x)",
            "symbolic",
            lambda: doubled(),
            altered={"it is Φ(x)": lambda: doubled(times=1)},
        ),
        Step(
            "∀ C C + W W + 2 C W = 2 Φ(Λ), C C <= 2 Φ(v), W W <= 2 Φ(w): C W is at least "
            "Φ(Λ) − Φ(v) − Φ(w), with equality if both are",
            "smt",
            least,
        ),
        Step(
            "∀ unions C of 8 cells, r <= 8, f = 1 on [−r, r]: E N >= Φ(8) − Φ(v) − Φ(w), with "
            "equality for C at an end",
            "exact",
            lambda: cells(),
            {"f = 1 beyond r instead": lambda: cells(falling=False)},
            {"Φ(w) is left out": lambda: cells(other=0)},
        ),
        Step("∀ s >= 0, E N >= m: h_0 − s E N <= h_0 − s m", "smt", line),
        Step(
            "∀ |z| <= R, |y − z| <= b, |z − s| > ε + b: |y| <= R + b and |y − s| > ε",
            "smt",
            uncovered,
        ),
        Step(
            "∀ x: Φ of the uniform law and of the product has Φ'' = f, Φ(0) = Φ'(0) = 0, and goes "
            "on beyond 1 as a line without a kink",
            "symbolic",
            lambda: potentials(),
            altered={"the product has density ln(1/|z|)": lambda: potentials(factor=2)},
        ),
        Step("∀ z > 0: −1/(2z), the slope of ½ ln(1/z), is negative", "smt", negative),
        Step(
            "∀ b, v + w = 1 + 2b: Φ(1 + 2b) − Φ(v) − Φ(w) = v w/2 − b² for uniform values",
            "symbolic",
            lambda: agrees(),
            altered={"it is v w/2": lambda: agrees(lost=0)},
        ),
        Step(
            "∀ words with w zeros, an end 0 with n neighbours within r, e of them 0, "
            "e <= min(n, w − 1): D >= D', its own and the sorted word's numbers of unequal pairs "
            "within r, if that holds without the end letters",
            "smt",
            one_letter,
        ),
        Step(
            "∀ words of up to 11 zeros and ones, r: no fewer unequal pairs within r than sorted",
            "exact",
            lambda: words(),
            {"pairs exactly r apart are counted": lambda: words(only=True)},
            {"the sorted word begins with a 1": lambda: words(first=1)},
        ),
        Step(
            "∀ 0 < z < 1: ½ ln(1/z) = ∫_z^1 dr/(2r), a mixture of [z <= r]",
            "symbolic",
            lambda: mixture(),
            altered={"it is ∫_z^1 dr/r": lambda: mixture(weight=1)},
        ),
    )


def doubled(times: int = 2) -> list[Any]:
    import sympy

    x, y, z, t = sympy.symbols("x y z t", positive=True)
    rest = []
    for power in range(4):
        below = sympy.integrate(sympy.integrate((z - y) ** power, (y, 0, z)), (z, 0, x))
        phi = sympy.integrate((x - t) * t**power, (t, 0, x))
        rest.append(2 * below - times * phi)  # the other half by symmetry
    logs = sympy.integrate(z * sympy.log(z) - z, (z, 0, x))  # ∫_0^z ln(z − y) dy inside
    rest.append(2 * logs - times * sympy.integrate((x - t) * sympy.log(t), (t, 0, x)))
    r = sympy.symbols("r", positive=True)
    near = sympy.integrate(z, (z, 0, r)) + sympy.integrate(r, (z, r, x))  # min(z, r) inside
    rest.append(2 * near - times * sympy.integrate(x - t, (t, 0, r)))
    return rest


def least() -> Implication:
    import z3

    cc, ww, cw, whole, of_v, of_w = z3.Reals("CC WW CW Φ(Λ) Φ(v) Φ(w)")
    claimed = whole - of_v - of_w
    return Implication(
        {
            "J × J": cc + ww + 2 * cw == 2 * whole,
            "Riesz for C": cc <= 2 * of_v,
            "Riesz for W": ww <= 2 * of_w,
        },
        z3.And(
            cw >= claimed,
            z3.Implies(z3.And(cc == 2 * of_v, ww == 2 * of_w), cw == claimed),
        ),
    )


def cells(falling: bool = True, other: int = 1) -> Iterator[tuple[Fraction, Fraction]]:
    """N is linear between whole shifts; f is 1, not normed."""
    everything = 2**CELLS - 1
    for covered in range(everything + 1):
        v = covered.bit_count()
        sizes = [
            ((covered << x if x >= 0 else covered >> -x) & everything & ~covered).bit_count()
            for x in range(-CELLS, CELLS + 1)
        ]
        pieces = [Fraction(p + q, 2) for p, q in pairwise(sizes)]  # over [d − 8, d − 7], d = 0, ...
        for r in range(1, CELLS + 1):
            inside = slice(CELLS - r, CELLS + r)
            mean = sum(pieces[inside], Fraction(0))
            if not falling:
                mean = sum(pieces, Fraction(0)) - mean

            def phi(x: int, r: int = r) -> Fraction:
                near = min(x, r)
                density = near * x - Fraction(near**2, 2)
                return density if falling else Fraction(x**2, 2) - density

            claimed = phi(CELLS) - phi(v) - other * phi(CELLS - v)
            yield claimed, mean
            if covered == (1 << v) - 1:
                yield mean, claimed


def one_letter() -> Implication:
    """The sorted word's end has min(n, w − 1) neighbours that are 0."""
    import z3

    near, equal, zeros, rest, rest_sorted = z3.Ints("n e w D_rest D'_rest")
    return Implication(
        {
            "e <= n": equal <= near,
            "e <= w − 1": equal <= zeros - 1,
            "the shorter words": rest >= rest_sorted,
        },
        rest + near - equal >= rest_sorted + near - smaller(near, zeros - 1),
    )


def words(only: bool = False, first: int = 0) -> Iterator[tuple[int, int]]:
    """first = 1 moves one of the sorted word's ones to its other end."""
    for length in range(2, LETTERS + 1):
        for word in range(1, 2**length - 1):
            v = word.bit_count()
            ordered = (1 << v) - 1 if first == 0 else (1 << v - 1) - 1 | 1 << length - 1
            fewest, found = 0, 0
            for d in range(1, length):
                inside = (1 << length - d) - 1
                at_d = [((x ^ x >> d) & inside).bit_count() for x in (ordered, word)]
                fewest, found = (at_d[0], at_d[1]) if only else (fewest + at_d[0], found + at_d[1])
                yield fewest, found


def mixture(weight: Any = Fraction(1, 2)) -> list[Any]:
    import sympy

    z, r = sympy.symbols("z r", positive=True)
    return [sympy.integrate(sympy.Rational(weight) / r, (r, z, 1)) + sympy.log(z) / 2]


def line() -> Implication:
    import z3

    h, s, ours, mean = z3.Reals("h_0 s E m")
    return Implication({"s >= 0": s >= 0, "E N >= m": ours >= mean}, h - s * ours <= h - s * mean)


def uncovered() -> Implication:
    import z3

    z, y, s, eps, b, reach = z3.Reals("z y s eps b R")
    return Implication(
        {"|z| <= R": size(z) <= reach, "near z": size(y - z) <= b, "far": size(z - s) > eps + b},
        z3.And(size(y) <= reach + b, size(y - s) > eps),
    )


def potentials(factor: int = 1) -> list[Any]:
    import sympy

    x = sympy.symbols("x", positive=True)
    half = sympy.Rational(1, 2)
    laws = (
        (x**2 / 4, half, sympy.Rational(1, 4) + (x - 1) / 2),
        (
            (3 * x**2 - 2 * x**2 * sympy.log(x)) / 8,
            -factor * half * sympy.log(x),
            sympy.Rational(3, 8) + (x - 1) / 2,
        ),
    )
    rest = []
    for phi, f, beyond in laws:
        slope = sympy.diff(phi, x)
        rest += [sympy.diff(slope, x) - f, *(sympy.limit(g, x, 0, "+") for g in (phi, slope))]
        rest += [(phi - beyond).subs(x, 1), (slope - sympy.diff(beyond, x)).subs(x, 1)]
    return rest


def agrees(lost: int = 1) -> list[Any]:
    import sympy

    v, b = sympy.symbols("v b", positive=True)
    w = 1 + 2 * b - v
    whole = sympy.Rational(1, 4) + b
    return [whole - v**2 / 4 - w**2 / 4 - (v * w / 2 - lost * b**2)]

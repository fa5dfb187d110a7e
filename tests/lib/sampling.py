"""Which cases an ordinary run takes of many that are much alike: always the same ones; VCC_LONG=1 takes all."""
import os
import random

LONG = os.environ.get("VCC_LONG") == "1"


def sample(cases, n, seed=""):
    """One of n, in their order, drawn by lot: names of places come in pairs (before, done), and every n-th would be one half of the pairs alone."""
    cases = list(cases)
    if LONG:
        return cases
    drawn = random.Random(f"{seed} {len(cases)}").sample(range(len(cases)), -(-len(cases) // n))
    return [cases[i] for i in sorted(drawn)]

"""One seed a study; every use of chance gets its own stream by name."""

import zlib

import numpy as np


def derive(seed: int, *names: str | float) -> int:
    """Derive the seed of a named use of chance: the same for the same names, independent of all others."""
    words = [zlib.crc32(str(name).encode()) for name in names]
    return int(np.random.SeedSequence([seed, *words]).generate_state(1)[0])

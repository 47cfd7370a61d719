"""The numbers that describe a synthetic face: traits of the identity, conditions of one image.

Lengths are pixels of the 112x112 crop, `x` from the middle of the face, `y` from the top of the
crop, `z` towards the viewer. Colours are RGB, 0 to 255.

Only the raw random bits and + - * / sqrt are used: these give the same bits on every machine,
which exp, sin or a normal deviate do not promise.
"""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np

__all__ = ["SKIN", "KeyedRandom", "between", "conditions", "traits", "unit"]

# Corners of the palette, light to dark, after people of all regions.
SKIN = (
    (247, 219, 201), (238, 201, 176), (226, 181, 148), (207, 158, 120), (181, 130, 92),
    (147, 100, 68), (112, 74, 50), (80, 52, 37),
)  # fmt: skip
HAIR = {
    "black": (26, 22, 22), "dark brown": (52, 36, 28), "brown": (86, 58, 40),
    "light brown": (128, 92, 60), "blond": (200, 164, 104), "pale blond": (226, 204, 160),
    "red": (150, 70, 34), "grey": (146, 144, 144), "white": (222, 220, 216),
}  # fmt: skip
EYES = {
    "dark": (48, 30, 22), "brown": (92, 56, 30), "hazel": (126, 98, 50), "green": (92, 122, 80),
    "blue": (84, 130, 176), "grey": (128, 144, 152),
}  # fmt: skip
STYLES = (
    "bald", "buzz", "crop", "parted", "fringe", "swept", "receding", "curly", "afro", "long",
    "long fringe", "bob", "tied",
)  # fmt: skip
BEARDS = ("none", "stubble", "moustache", "goatee", "full", "sideburns")
GLASSES = ("none", "frames", "dark")
OCCLUDERS = ("none", "strands", "patch", "hand")


class KeyedRandom:
    """Random numbers that depend on `key` alone, made by the counter-based Philox generator."""

    def __init__(self, *key):
        self.generator = np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))
        self._pool = []

    def _next(self):
        if not self._pool:  # by the hundred: a call of the generator costs a microsecond
            self._pool = self.generator.random(128).tolist()
        return self._pool.pop()

    def uniform(self, low=0.0, high=1.0):
        """Return a number in [low, high)."""
        return low + (high - low) * self._next()

    def bell(self, middle, spread):
        """Return a bell-shaped number with standard deviation `spread`, within 3 spreads."""
        total = self._next() + self._next() + self._next()
        return middle + spread * 2.0 * (total - 1.5)  # the variance of the total is 1/4

    def chance(self, probability):
        """Return True with this probability."""
        return self.uniform() < probability

    def pick(self, options, weights=None):
        """Return one of `options`."""
        options = list(options)
        if weights is None:
            return options[int(self.uniform() * len(options))]
        mark = self.uniform() * sum(weights)
        for option, weight in zip(options, weights):
            mark -= weight
            if mark < 0:
                return option
        return options[-1]

    def colour(self, base, spread):
        """Return `base` with each channel and the brightness moved a little."""
        common = self.bell(0.0, spread)
        return tuple(min(255.0, max(0.0, c + common + self.bell(0.0, 0.4 * spread))) for c in base)

    def bytes(self, *shape):
        """Return random uint8 of this shape."""
        count = int(np.prod(shape))
        return np.frombuffer(self.generator.bytes(count), np.uint8).reshape(shape)


def between(palette, position):
    """Return the colour at `position` in [0, 1] along a palette."""
    place = min(max(position, 0.0), 1.0) * (len(palette) - 1)
    index = min(int(place), len(palette) - 2)
    share = place - index
    return tuple(a + (b - a) * share for a, b in zip(palette[index], palette[index + 1]))


def traits(seed, identity):
    """Return the traits of an identity: about 50 numbers that stay fixed over its images."""
    random = KeyedRandom(seed, identity, 0xFACE)
    u, bell = random.uniform, random.bell
    t = SimpleNamespace()
    t.male = male = 1.0 if random.chance(0.5) else 0.0
    t.age = age = u()
    tone = u()
    t.skin = random.colour(between(SKIN, tone), 5.0)
    t.flush = u(0.0, 1.0) * (1.0 - 0.6 * tone)

    # the head
    t.width = bell(42.5, 2.5)
    t.cheek_y = bell(61.0, 4.0)
    t.forehead = bell(0.96, 0.035)  # width at the temples, of the cheeks'
    t.top = bell(-13.0, 3.0)
    t.chin_y = bell(112.0 + 2.0 * male, 2.8)
    t.pointed = u(0.0, 0.75) * (1.0 - 0.35 * male)
    t.square = u(0.0, 1.0) * (0.55 + 0.45 * male)
    t.chin = u(0.0, 5.0)
    t.cleft = u(1.0, 3.0) if random.chance(0.15) else 0.0
    t.cheekbone = u(0.5, 5.0)
    t.hollow = u(-2.0, 4.0)
    t.ear = u(4.0, 9.5)
    t.ear_y = bell(62.0, 2.5)

    # eyes and brows
    t.eye_x = bell(17.6, 1.35)
    t.eye_w = bell(8.9, 0.8)
    t.eye_up = bell(3.6, 0.65)
    t.eye_down = bell(2.4, 0.4)
    t.eye_tilt = bell(0.04, 0.09)
    t.eye_peak = u(-0.35, 0.35)
    t.iris = bell(4.1, 0.3)
    names = list(EYES)
    dark = min(1.0, 0.25 + 1.6 * tone)
    kind = random.pick(
        names, [4 * dark, 2.5, 1.3 * (1.1 - dark), 1.3 * (1.1 - dark), 3 * (1.1 - dark), 1.1 - dark]
    )
    t.iris_colour = random.colour(EYES[kind], 10.0)
    t.crease = u(0.0, 1.0)
    t.socket = u(0.5, 6.0)
    t.bags = u(0.0, 0.6) + 0.5 * age
    t.lash = u(0.5, 1.2) + 0.8 * (1.0 - male) * u()
    t.brow_y = bell(11.2 - 1.6 * male, 1.5)  # above the eyes
    t.brow_thick = max(0.9, bell(1.9 + 0.8 * male, 0.65))
    t.brow_arch = u(0.0, 3.8) * (1.0 - 0.4 * male)
    t.brow_tilt = bell(0.0, 0.09)
    t.brow_in = bell(6.8, 1.5)  # inner end, from the middle
    t.brow_len = bell(21.0, 1.8)
    t.brow_dark = u(0.5, 1.0)
    t.ridge = u(0.0, 2.5) + 1.5 * male

    # nose
    t.nose_y = bell(72.0, 2.2)
    t.nose_w = bell(8.6 + 1.4 * tone, 1.4)
    t.nose_out = bell(10.0, 1.8)
    t.bridge = bell(4.6 - 1.5 * tone, 1.3)
    t.bridge_w = bell(5.4, 0.9)
    t.hump = bell(0.0, 1.1)
    t.tip = bell(5.6, 0.9)
    t.tip_up = bell(0.0, 1.2)

    # mouth
    t.mouth_y = bell(92.3, 1.8)
    t.mouth_w = bell(14.8, 1.6)
    t.lip_up = bell(3.0 + 0.9 * tone, 0.8)
    t.lip_down = bell(4.3 + 0.9 * tone, 0.9)
    t.bow = u(0.0, 1.8)
    t.mouth_curve = bell(-0.4, 0.9)
    made_up = (not male) and random.chance(0.3)
    lip = (168, 40, 60) if made_up else (198 - 84 * tone, 122 - 56 * tone, 114 - 52 * tone)
    t.lip_colour = random.colour(lip, 10.0)

    # marks
    t.freckles = u(0.4, 1.0) if random.chance(0.16 * (1.3 - tone)) else 0.0
    moles = random.pick((0, 1, 2, 3), (5, 3, 2, 1))
    t.moles = [(bell(0.0, 17.0), u(34.0, 104.0), u(0.7, 1.7)) for _ in range(moles)]
    t.scar = (bell(0.0, 18.0), u(30.0, 95.0), u(-1, 1), u(5, 11)) if random.chance(0.08) else None
    t.fold = u(0.0, 0.7) + 1.1 * age * age
    t.lines = max(0.0, age - 0.45) * 2.0 * u(0.4, 1.0)
    t.gloss = u(0.05, 0.30)
    t.mottle = u(0.5, 1.5)
    t.texture = random.generator.integers(0, 2**32, 3).tolist()  # seeds of hair, skin and beard

    # hair
    if male:
        t.style = random.pick(
            STYLES, (1.6, 2, 3, 3, 1.2, 2, 1.8, 1.4, 0.8 + tone, 0.5, 0.1, 0.2, 0.2)
        )
    else:
        t.style = random.pick(
            STYLES, (0.05, 0.3, 1, 1, 1, 1.5, 0, 1.8, 0.6 + tone, 3.5, 2.2, 2.2, 2)
        )
    grey = age > 0.75 and random.chance(0.45)
    names = ("grey", "white") if grey else tuple(HAIR)[:7]
    fair = max(0.0, 1.0 - 2.0 * tone)
    weights = (
        None if grey else (2 + 6 * tone, 3, 2.5 * fair + 0.5, 2 * fair, 2.2 * fair, fair, fair)
    )
    t.hair = random.colour(HAIR[random.pick(names, weights)], 8.0)
    t.hairline = bell(20.0, 3.6)
    t.volume = u(2.0, 9.0)
    t.part = u(-16.0, 16.0)
    t.side = 1.0 if random.chance(0.5) else -1.0
    t.temple = u(1.0, 8.0)
    t.fringe = u(25.0, 37.0)
    t.strands = u(0.25, 0.6)

    # beard
    t.beard = random.pick(BEARDS, (5, 2, 1, 1.2, 2, 0.6) if male else (1, 0, 0, 0, 0, 0))
    t.beard_dense = u(0.55, 0.95)
    t.beard_y = u(80.0, 90.0)
    return t


def conditions(seed, identity, image):
    """Return what changes from image to image: pose, light, expression, occlusion, camera."""
    random = KeyedRandom(seed, identity, image, 0x1CE)
    u, bell = random.uniform, random.bell
    c = SimpleNamespace(random=random)
    # half tangents: sine and cosine come from them by + * / alone
    c.yaw = bell(0.0, 0.12)
    c.pitch = bell(0.0, 0.068)
    c.roll = bell(0.0, 0.022)
    c.shift = (bell(0.0, 1.1), bell(0.0, 1.1))
    c.zoom = bell(1.0, 0.028)

    # expression
    c.smile = max(-0.2, bell(0.4, 0.4))
    c.open = max(0.0, bell(0.0, 0.45))
    c.lids = min(1.15, max(0.25, bell(0.95, 0.15))) if not random.chance(0.03) else 0.05
    c.gaze = (bell(0.0, 0.22), bell(0.0, 0.12))
    c.brows = bell(0.0, 0.9)
    c.frown = max(0.0, bell(0.0, 0.6))

    # light: the key from anywhere in front, also strongly from one side or from below
    c.key = unit(bell(0.0, 0.75), bell(-0.3, 0.42), u(0.35, 1.0))
    c.fill = unit(-c.key[0] + bell(0.0, 0.4), bell(-0.2, 0.4), 0.8)
    warm = bell(0.0, 0.07)
    c.key_colour = tint(u(0.42, 1.05), warm, bell(0.0, 0.02))
    c.fill_colour = tint(u(0.0, 0.35), -warm + bell(0.0, 0.05), bell(0.0, 0.02))
    c.sky_colour = tint(u(0.14, 0.42), bell(0.0, 0.06), bell(0.0, 0.02))

    c.glasses = random.pick(GLASSES, (0.87, 0.11, 0.02))
    c.occluder = random.pick(OCCLUDERS, (0.82, 0.07, 0.055, 0.055))

    # camera
    c.gain = u(0.68, 1.22)
    c.black = u(0.0, 14.0)
    c.balance = (1.0 + bell(0.0, 0.03), 1.0, 1.0 + bell(0.0, 0.03))
    c.blur = random.pick((0, 1, 2, 3), (0.5, 0.27, 0.16, 0.07))
    c.shrink = random.pick((1.0, 0.7, 0.5), (0.8, 0.13, 0.07))
    c.noise = u(0.0, 1.0) * u(0.0, 1.0) * 10.0
    c.quality = int(u(45, 96))
    return c


def unit(x, y, z):
    """Return the vector scaled to length 1."""
    length = math.sqrt(x * x + y * y + z * z)
    return (x / length, y / length, z / length)


def tint(strength, warm, green):
    """Return an RGB light of this strength, warm (reddish) when `warm` is positive."""
    return (strength * (1.0 + warm), strength * (1.0 + green), strength * (1.0 - warm))

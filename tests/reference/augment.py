"""The augmentations once more, slow and in float64: one image, one list of random numbers.

Written from the papers and from the definitions in the docstrings, pixel by pixel where that is
short. `drawn` are the numbers of [0, 1) that the augmentation gets for the image.
"""

import math

import numpy as np

MASK = (1 << 64) - 1
STEP = 0x9E3779B97F4A7C15


# --- random numbers


def mix(value):
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & MASK
    return value ^ (value >> 31)


def slow_hash(seed, epoch, index, stream):
    key = 0
    for number in (seed, epoch, stream):
        key = mix((key + number + STEP) & MASK)
    return mix(mix((index * STEP + key) & MASK) ^ key)


def slow_uniform(seed, epoch, index, stream):
    return (slow_hash(seed, epoch, index, stream) >> 11) / 2**53


# --- helpers


def levels(image):
    """Round half up and clip; half a level more or less is the tolerance of the tests."""
    return np.clip(np.floor(np.asarray(image) + 0.5), 0, 255)


def luma(image):
    return image[..., 0] * 0.299 + image[..., 1] * 0.587 + image[..., 2] * 0.114


def reflect(at, count):
    """The pixel that stands for one outside: 2 1 | 0 1 2 3 | 2 1."""
    period = max(1, 2 * (count - 1))
    at = at % period
    return at if at < count else period - at


# --- colour


def color_jitter(image, drawn, brightness, contrast, saturation, hue):
    b, c, s = (1 + v * (2 * d - 1) for v, d in zip((brightness, contrast, saturation), drawn))
    turn = 2 * math.pi * hue * (2 * drawn[3] - 1)
    x = image.astype(np.float64) * b
    mean = luma(x).mean()
    x = c * x + (1 - c) * mean
    y = luma(x)[..., None]
    x = s * x + (1 - s) * y
    # to YIQ, turn the plane of I and Q, and back
    forward = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    y, i, q = np.moveaxis(x @ forward.T, -1, 0)
    i, q = i * math.cos(turn) - q * math.sin(turn), i * math.sin(turn) + q * math.cos(turn)
    return levels(np.stack([y, i, q], -1) @ np.linalg.inv(forward).T)


def random_grey(image, drawn):
    return levels(np.repeat(luma(image.astype(np.float64))[..., None], 3, -1))


# --- quality


def gaussian_blur(image, drawn, min_sigma, max_sigma):
    sigma = min_sigma + (max_sigma - min_sigma) * drawn[0]
    radius = math.ceil(3 * sigma)
    taps = [math.exp(-(d**2) / (2 * sigma**2)) for d in range(-radius, radius + 1)]
    taps = [tap / sum(taps) for tap in taps]
    for axis in (0, 1):
        count = image.shape[axis]
        image = sum(
            tap * np.take(image, [reflect(at + d, count) for at in range(count)], axis)
            for d, tap in zip(range(-radius, radius + 1), taps)
        )
    return levels(image)


def low_resolution(image, drawn, min_scale, max_scale):
    scale = min_scale + (max_scale - min_scale) * drawn[0]
    shape = image.shape
    for axis in (0, 1):
        small = max(1, math.floor(shape[axis] * scale + 0.5))
        image = along(area(shape[axis], small), image, axis)
    image = levels(image)
    for axis in (0, 1):
        image = along(bilinear(image.shape[axis], shape[axis]), image, axis)
    return levels(image)


def area(big, small):
    """Each of the small pixels is the mean of what it covers of the big ones."""
    weight = np.zeros((small, big))
    step = big / small
    for i in range(small):
        for j in range(big):
            weight[i, j] = max(0, min((i + 1) * step, j + 1) - max(i * step, j)) / step
    return weight


def bilinear(small, big):
    """Pixels are squares: the middle of pixel i is at i + 1/2."""
    weight = np.zeros((big, small))
    for i in range(big):
        at = min(max((i + 0.5) * small / big - 0.5, 0), small - 1)
        low = min(int(at), small - 2) if small > 1 else 0
        weight[i, low] += 1 - (at - low)
        if small > 1:
            weight[i, low + 1] += at - low
    return weight


def along(matrix, image, axis):
    return np.moveaxis(np.tensordot(matrix, image, (1, axis)), 0, axis)


LUMA_TABLE = """
16 11 10 16 24 40 51 61  12 12 14 19 26 58 60 55  14 13 16 24 40 57 69 56  14 17 22 29 51 87 80 62
18 22 37 56 68 109 103 77  24 35 55 64 81 104 113 92  49 64 78 87 103 121 120 101
72 92 95 98 112 100 103 99"""
CHROMA_TABLE = (
    """
17 18 24 47 99 99 99 99  18 21 26 66 99 99 99 99  24 26 56 99 99 99 99 99  47 66 99 99 99 99 99 99
"""
    + "99 " * 32
)


def jpeg(image, drawn, min_quality, max_quality):
    """Baseline JPEG (ITU T.81, annex K) with chroma halved; sides must be multiples of 16."""
    quality = math.floor(min_quality + (max_quality + 1 - min_quality) * drawn[0])
    factor = 5000 // quality if quality < 50 else 200 - 2 * quality
    x = image.astype(np.float64)
    y = luma(x)
    cb, cr = 128 + (x[..., 2] - y) / 1.772, 128 + (x[..., 0] - y) / 1.402
    planes = [y] + [halve(c) for c in (levels(cb), levels(cr))]
    decoded = []
    for plane, text in zip(planes, (LUMA_TABLE, CHROMA_TABLE, CHROMA_TABLE)):
        table = np.array(text.split(), float).reshape(8, 8)
        table = np.clip((table * factor + 50) // 100, 1, 255)
        decoded.append(blocks(levels(plane) - 128, table) + 128)
    y, cb, cr = decoded[0], *(double(levels(c)) - 128 for c in decoded[1:])
    return levels(np.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], -1))


def halve(plane):
    return (plane[::2, ::2] + plane[1::2, ::2] + plane[::2, 1::2] + plane[1::2, 1::2]) / 4


def double(plane):
    """Triangle filter: 3/4 of the nearer pixel, 1/4 of the farther one."""
    for axis in (0, 1):
        before = np.take(plane, [max(i - 1, 0) for i in range(plane.shape[axis])], axis)
        last = plane.shape[axis] - 1
        after = np.take(plane, [min(i + 1, last) for i in range(last + 1)], axis)
        both = np.stack([(3 * plane + before) / 4, (3 * plane + after) / 4], axis + 1)
        shape = list(plane.shape)
        shape[axis] *= 2
        plane = both.reshape(shape)
    return plane


def blocks(plane, table):
    """Cosine transform of 8 x 8 blocks, divided by the table, rounded, and back."""
    basis = np.array(
        [
            [math.sqrt((1 if k == 0 else 2) / 8) * math.cos((2 * n + 1) * k * math.pi / 16)
             for n in range(8)]
            for k in range(8)
        ]
    )  # fmt: skip
    result = np.empty_like(plane)
    for top in range(0, plane.shape[0], 8):
        for left in range(0, plane.shape[1], 8):
            block = basis @ plane[top : top + 8, left : left + 8] @ basis.T
            block = np.round(block / table) * table
            result[top : top + 8, left : left + 8] = basis.T @ block @ basis
    return result


# --- holes


def noise(drawn, height, width):
    raw = np.random.Philox(key=int(drawn * 2**53)).random_raw(-(-height * width * 3 // 8))
    flat = [int(word) >> (8 * byte) & 255 for word in raw for byte in range(8)]
    return np.array(flat[: height * width * 3], np.uint8).reshape(height, width, 3)


def random_erasing(image, drawn, min_area, max_area, min_aspect, max_aspect, fill):
    image = image.copy()
    for attempt in range(10):
        size = (min_area + (max_area - min_area) * drawn[2 * attempt]) * image[..., 0].size
        aspect = min_aspect + (max_aspect - min_aspect) * drawn[2 * attempt + 1]
        height = math.floor(math.sqrt(size * aspect) + 0.5)
        width = math.floor(math.sqrt(size / aspect) + 0.5)
        if 1 <= height <= image.shape[0] and 1 <= width <= image.shape[1]:
            top = math.floor(drawn[20] * (image.shape[0] - height + 1))
            left = math.floor(drawn[21] * (image.shape[1] - width + 1))
            image[top : top + height, left : left + width] = (
                noise(drawn[22], height, width) if fill is None else fill
            )
            break
    return image


def cutout(image, drawn, size, fill):
    image = image.copy()
    side = max(1, round(size * min(image.shape[:2])))
    top, left = (math.floor(d * n) - side // 2 for d, n in zip(drawn, image.shape))
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            if top <= y < top + side and left <= x < left + side:
                image[y, x] = fill
    return image


# --- RandAugment


def sample(image, a, b, c, d, e, f, fill=128):
    """Pixel (x, y) is taken from (a x + b y + c, d x + e y + f), bilinearly."""
    height, width = image.shape[:2]
    padded = np.full((height + 2, width + 2, 3), float(fill))
    padded[1:-1, 1:-1] = image
    result = np.empty(image.shape)
    for y in range(height):
        for x in range(width):
            u = min(max(a * x + b * y + c, -1), width) + 1
            v = min(max(d * x + e * y + f, -1), height) + 1
            i, j = min(int(v), height), min(int(u), width)
            p, q = v - i, u - j
            result[y, x] = (1 - p) * ((1 - q) * padded[i, j] + q * padded[i, j + 1]) + p * (
                (1 - q) * padded[i + 1, j] + q * padded[i + 1, j + 1]
            )
    return levels(result)


def about_middle(image, a, b, d, e):
    x, y = (image.shape[1] - 1) / 2, (image.shape[0] - 1) / 2
    return sample(image, a, b, x - a * x - b * y, d, e, y - d * x - e * y)


def blend(image, other, factor):
    return levels(factor * image.astype(np.float64) + (1 - factor) * other)


def auto_contrast(image):
    result = image.astype(np.float64)
    for c in range(3):
        low, high = result[..., c].min(), result[..., c].max()
        if high > low:
            result[..., c] = np.floor((result[..., c] - low) * 255 / (high - low) + 1e-9)
    return result


def equalize(image):
    result = image.copy()
    for c in range(3):
        counts = [int((image[..., c] == level).sum()) for level in range(256)]
        used = [count for count in counts if count]
        step = (sum(used) - used[-1]) // 255
        if step:
            table = [min(255, (sum(counts[:v]) + step // 2) // step) for v in range(256)]
            result[..., c] = np.array(table)[image[..., c]]
    return result


def sharpen(image, factor):
    smooth = image.astype(np.float64)
    for y in range(1, image.shape[0] - 1):
        for x in range(1, image.shape[1] - 1):
            near = image[y - 1 : y + 2, x - 1 : x + 2].astype(np.float64)
            smooth[y, x] = (near.sum((0, 1)) + 4 * near[1, 1]) / 13
    return blend(image, smooth, factor)


def rand_operation(name, image, m):
    """One operation at the signed strength m of -1..1."""
    x = image.astype(np.float64)
    if name == "identity":
        return x
    if name == "auto_contrast":
        return auto_contrast(image)
    if name == "equalize":
        return equalize(image)
    if name == "solarize":
        return np.where(x < 256 * (1 - m), x, 255 - x)
    if name == "posterize":
        drop = 2 ** math.floor(4 * m + 0.5)
        return x - x % drop
    if name == "color":
        return blend(x, luma(x)[..., None], 1 + 0.9 * m)
    if name == "contrast":
        return blend(x, luma(x).mean(), 1 + 0.9 * m)
    if name == "brightness":
        return blend(x, 0, 1 + 0.9 * m)
    if name == "sharpness":
        return sharpen(image, 1 + 0.9 * m)
    if name == "rotate":
        cos, sin = math.cos(math.radians(30 * m)), math.sin(math.radians(30 * m))
        return about_middle(image, cos, sin, -sin, cos)
    if name == "shear_x":
        return about_middle(image, 1, 0.3 * m, 0, 1)
    if name == "shear_y":
        return about_middle(image, 1, 0, 0.3 * m, 1)
    if name == "translate_x":
        return sample(image, 1, 0, 0.45 * m * image.shape[1], 0, 1, 0)
    if name == "translate_y":
        return sample(image, 1, 0, 0, 0, 1, 0.45 * m * image.shape[0])
    raise KeyError(name)


def rand_augment_plan(drawn, names, m, signed):
    """What is drawn: [(operation, signed strength)]."""
    plan = []
    for which, sign in zip(drawn[0::2], drawn[1::2]):
        name = names[math.floor(which * len(names))]
        plan.append((name, -m / 30 if name in signed and sign < 0.5 else m / 30))
    return plan


# --- mixing


def beta_cdf(alpha, share, steps=200_000):
    """The distribution function of Beta(alpha, alpha), by the midpoint rule in share ** alpha."""
    if share > 0.5:
        return 1 - beta_cdf(alpha, 1 - share, steps)

    def integral(to):
        t = (np.arange(steps) + 0.5) / steps * to**alpha
        return ((1 - t ** (1 / alpha)) ** (alpha - 1)).mean() * to**alpha

    return 0.5 * integral(share) / integral(0.5)


def mixup(image, other, share):
    return levels(share * image.astype(np.float64) + (1 - share) * other)


def cutmix(image, other, share, middle):
    """Return the mixture and the share of the pixels that stay; images are (3, H, W)."""
    height, width = image.shape[1:]
    cut = math.sqrt(1 - share)
    half = (math.floor(height * cut) // 2, math.floor(width * cut) // 2)
    y, x = math.floor(middle[0] * height), math.floor(middle[1] * width)
    result, taken = image.copy(), 0
    for i in range(height):
        for j in range(width):
            if y - half[0] <= i < y + half[0] and x - half[1] <= j < x + half[1]:
                result[:, i, j] = other[:, i, j]
                taken += 1
    return result, 1 - taken / (height * width)

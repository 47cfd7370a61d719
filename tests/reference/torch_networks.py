"""Networks of other projects, module by module under their PyTorch names, as the projects' public
sources have them. No line of ours is used but MXNet's convolution: a second opinion on which tensor
of a state dict goes where.

`Torch` makes each tensor when it is first asked for, and computes with it; so a network that has
been run once leaves its own state dict, in the order of computation.
"""

import numpy as np

from gluonface._compat import mx

nd = mx.nd


class Torch:
    """A state dict in the making; `x` is the input of each module."""

    def __init__(self, seed=0):
        self.state, self.rng = {}, np.random.default_rng(seed)

    def new(self, name, value):
        if name not in self.state:
            self.state[name] = np.asarray(value, "float32")
        return nd.array(self.state[name])

    def normal(self, name, shape):
        spread = np.sqrt(1 / max(1, np.prod(shape[1:])))
        return self.new(name, self.rng.standard_normal(shape) * spread)

    def uniform(self, name, n, low, high):
        return self.new(name, self.rng.uniform(low, high, n))

    def conv(self, name, x, out, k=1, s=1, g=1, bias=False, pad=None):
        weight = self.normal(f"{name}.weight", (out, x.shape[1] // g, k, k))
        b = self.uniform(f"{name}.bias", out, -0.5, 0.5) if bias else None
        pad = k // 2 if pad is None else pad
        settings = {"num_filter": out, "num_group": g, "no_bias": b is None}
        inputs = (x, weight) if b is None else (x, weight, b)
        return nd.Convolution(*inputs, kernel=(k, k), stride=(s, s), pad=(pad, pad), **settings)

    def linear(self, name, x, out, bias=True):
        weight = self.normal(f"{name}.weight", (out, x.shape[-1]))
        y = nd.dot(x, weight, transpose_b=True)
        return y + self.uniform(f"{name}.bias", out, -0.5, 0.5) if bias else y

    def bn(self, name, x, affine=True, eps=1e-5, gamma=None):
        """Normalise by about the batch's own statistics, so that deep networks stay alive."""
        n, axes = x.shape[1], (0, *range(2, x.ndim))
        a = x.asnumpy()
        spread = a.var(axis=axes)
        mean = self.new(f"{name}.running_mean", a.mean(axis=axes))
        # Where the two images agree, division by their spread would magnify rounding.
        least = max(spread.mean(), (a.mean(axis=axes) ** 2).mean(), 1e-3) / 4
        variance = self.new(f"{name}.running_var", np.maximum(spread, least))
        self.new(f"{name}.num_batches_tracked", 7)
        shape = (1, -1) + (1,) * (x.ndim - 2)
        y = (x - mean.reshape(shape)) / nd.sqrt(variance + eps).reshape(shape)
        if not affine:
            return y
        g = self.new(f"{name}.weight", self.rng.uniform(0.6, 1.4, n) if gamma is None else gamma)
        return y * g.reshape(shape) + self.uniform(f"{name}.bias", n, -0.3, 0.3).reshape(shape)

    def norm(self, name, x):
        """LayerNorm over the last axis."""
        g = self.uniform(f"{name}.weight", x.shape[-1], 0.6, 1.4)
        b = self.uniform(f"{name}.bias", x.shape[-1], -0.3, 0.3)
        centred = x - x.mean(axis=-1, keepdims=True)
        return centred / nd.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-5) * g + b

    def prelu(self, name, x, n=None):
        slope = self.uniform(f"{name}.weight", x.shape[1] if n is None else n, 0.05, 0.45)
        return nd.maximum(x, 0) + slope.reshape((1, -1, 1, 1)) * nd.minimum(x, 0)

    def row(self, name, x, names, *conv, act="prelu", eps=1e-5, **settings):
        """Convolution, BatchNorm and activation, called `names`."""
        first, second, *third = (f"{name}.{n}" if name else n for n in names)
        x = self.bn(second, self.conv(first, x, *conv, **settings), eps=eps)
        if act == "prelu":
            return self.prelu(third[0], x)
        return {"relu6": relu6, "swish": swish, "relu": nd.relu, None: lambda v: v}[act](x)

    def se(self, name, x, middle, names=("conv1", "conv2"), bias=True, gate=nd.sigmoid, act=None):
        y = (act or nd.relu)(self.conv(f"{name}.{names[0]}", mean(x), middle, bias=bias))
        return x * gate(self.conv(f"{name}.{names[1]}", y, x.shape[1], bias=bias))

    def gdc(self, name, x, size=512):
        c = x.shape[1]
        x = self.conv(f"{name}.conv_6_dw.conv", x, c, 7, g=c, pad=0)
        x = self.bn(f"{name}.conv_6_dw.bn", x).reshape((0, -1))
        return self.bn(f"{name}.bn", self.linear(f"{name}.linear", x, size, bias=False))

    def fc_head(self, x, names=("output_layer.0", "output_layer.3", "output_layer.4"), **last):
        x = self.bn(names[0], x).reshape((0, -1))
        return self.bn(names[1 + 1], self.linear(names[1], x, 512), **(last or {"affine": False}))


def mean(x):
    return x.mean(axis=(2, 3), keepdims=True)


def relu6(x):
    return nd.clip(x, 0, 6)


def hard(x):
    return relu6(x + 3) / 6


def swish(x):
    return x * nd.sigmoid(x)


def pool(x, k=3, s=2, pad=1, kind="max"):
    return nd.Pooling(x, kernel=(k, k), stride=(s, s), pad=(pad, pad), pool_type=kind)


R, S = ("conv", "bn", "activ"), ("0", "1", "2")


def div8(v, d=8):
    n = max(d, int(v + d / 2) // d * d)
    return n + d if n < 0.9 * v else n


# --- cavaface ----------------------------------------------------------------------------------


def mobilefacenet(t, x, attention):
    names = ("conv", "bn", "prelu")

    def attend(name, x):
        c = x.shape[1]
        if attention == "se":
            return t.se(name, x, c // 16)
        if attention == "eca":
            taps = int((np.log2(c) + 1) / 2)
            taps += taps % 2 == 0
            w = t.uniform(f"{name}.conv.weight", (1, 1, taps), -1, 1).reshape((-1,)).asnumpy()
            m = mean(x).asnumpy().reshape(len(x), c)
            y = np.stack([np.convolve(row, w[::-1], "same") for row in m])
            return x * nd.sigmoid(nd.array(y.reshape(len(x), c, 1, 1)))
        if attention == "cbam":

            def mlp(v):
                v = nd.relu(t.linear(f"{name}.ch_gate.mlp.fc1", v.reshape((0, -1)), c // 16))
                return t.linear(f"{name}.ch_gate.mlp.fc2", v, c)

            gate = nd.sigmoid(mlp(mean(x)) + mlp(x.max(axis=(2, 3))))
            x = x * gate.reshape((0, 0, 1, 1))
            seen = nd.concat(x.max(axis=1, keepdims=True), x.mean(axis=1, keepdims=True), dim=1)
            gate = t.row(f"{name}.sp_gate.conv", seen, R[:2], 1, 7, act=None)
            return x * nd.sigmoid(gate)
        alpha, gamma, beta = (
            t.uniform(f"{name}.{n}", (1, c, 1, 1), low, 1)
            for n, low in (("alpha", 0.5), ("gamma", -1), ("beta", -1))
        )
        e = nd.sqrt((x**2).sum(axis=(2, 3), keepdims=True) + 1e-5) * alpha
        norm = gamma / nd.sqrt((e**2).mean(axis=1, keepdims=True) + 1e-5)
        return x * (1 + nd.tanh(e * norm + beta))

    def depth_wise(name, x, out, g, s=2):
        y = t.row(f"{name}.conv", x, names, g)
        y = t.row(f"{name}.conv_dw", y, names, g, 3, s, g)
        y = attend(f"{name}.attention_layer", t.row(f"{name}.project", y, names, out, act=None))
        return y + x if s == 1 else y

    x = t.row("conv1", x, names, 64, 3, 2)
    x = t.row("conv2_dw", x, names, 64, 3, 1, 64)
    rows = (("23", "3", 64, 128, 4), ("34", "4", 128, 256, 6), ("45", "5", 128, 512, 2))
    for down, flat, out, g, count in rows:
        x = depth_wise(f"conv_{down}", x, out, g)
        for i in range(count):
            x = depth_wise(f"conv_{flat}.model.{i}", x, out, min(g, 256), 1)
    return t.gdc("output_layer", t.row("conv_6_sep", x, names, 512))


def mobilenetv2(t, x):
    x = t.row("features.0", x, S, 32, 3, 2)
    rows = ((1, 16, 1, 1), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2))
    number = 0
    for e, c, n, s in (*rows, (6, 320, 1, 1)):
        for i in range(n):
            number += 1
            name, y, k, wide = f"features.{number}.conv", x, 0, e * x.shape[1]
            if e > 1:
                y, k = t.row(f"{name}.0", y, S, wide), 1
            y = t.row(f"{name}.{k}", y, S, wide, 3, 1 if i else s, wide)
            y = t.row(name, y, (str(k + 1), str(k + 2)), c, act=None)
            x = x + y if y.shape == x.shape else y
    return t.gdc("output_layer", t.row(f"features.{number + 1}", x, S, 512))


def mobilenext(t, x):
    x, number = t.row("features.0", x, S, 32, 3, 2), 0
    rows = ((144, 1, 1), (192, 3, 2), (288, 3, 2), (384, 4, 1), (576, 4, 2), (960, 2, 1))
    for c, n, s in (*rows, (512, 1, 1)):
        for i in range(n):
            number += 1
            name, wide = f"features.{number}.conv", x.shape[1]
            y = t.row(f"{name}.0", x, S, wide, 3, 1, wide)
            y = t.row(name, y, ("1", "2"), round(wide / 6), act=None)
            y = t.row(f"{name}.3", y, S, c)
            y = t.row(name, y, ("4", "5"), c, 3, 1 if i else s, c, act=None)
            x = x + y if y.shape == x.shape else y
    return t.gdc("output_layer", x)


def mobilenetv3(t, x):
    rows = (
        *((3, 1, 16, 0, 1), (3, 4, 24, 0, 2), (3, 3, 24, 0, 1), (5, 3, 40, 1, 2)),
        *((5, 3, 40, 1, 1), (5, 3, 40, 1, 1), (3, 6, 80, 0, 2), (3, 2.5, 80, 0, 1)),
        *((3, 2.3, 80, 0, 1), (3, 2.3, 80, 0, 1), (3, 6, 112, 1, 1), (3, 6, 112, 1, 1)),
        *((5, 6, 160, 1, 2), (5, 6, 160, 1, 1), (5, 6, 160, 1, 1)),
    )

    def attend(name, x):
        y = nd.relu(t.linear(f"{name}.fc.0", mean(x).reshape((0, -1)), div8(x.shape[1] // 4)))
        return x * hard(t.linear(f"{name}.fc.2", y, x.shape[1])).reshape((0, 0, 1, 1))

    x = t.row("features.0", x, S, 16, 3)
    for i, (k, e, c, se, s) in enumerate(rows, 1):
        name, wide, y = f"features.{i}.conv", div8(x.shape[1] * e), x
        if wide == x.shape[1]:
            y = t.row(name, y, S, wide, k, s, wide)
            y = t.row(name, y, ("4", "5"), c, act=None)
        else:
            y = t.row(name, y, S, wide)
            y = t.row(name, y, ("3", "4"), wide, k, s, wide, act=None)
            y = t.prelu(f"{name}.6", attend(f"{name}.5", y) if se else y)
            y = t.row(name, y, ("7", "8"), c, act=None)
        x = x + y if y.shape == x.shape else y
    return t.gdc("output_layer", t.row("conv", x, S, 512))


def ghostnet(t, x, width):
    stages = (
        *(((3, 16, 16, 0, 1),), ((3, 48, 24, 0, 2),), ((3, 72, 24, 0, 1),), ((5, 72, 40, 1, 2),)),
        *(((5, 120, 40, 1, 1),), ((3, 240, 80, 0, 2),)),
        ((3, 200, 80, 0, 1), *[(3, 184, 80, 0, 1)] * 2, (3, 480, 112, 1, 1), (3, 672, 112, 1, 1)),
        ((5, 672, 160, 1, 2),),
        ((5, 960, 160, 0, 1), (5, 960, 160, 1, 1), (5, 960, 160, 0, 1), (5, 512, 160, 1, 1)),
    )

    def ghost(name, x, out, act):
        half = -(-out // 2)
        a = t.row(f"{name}.primary_conv", x, S, half, act=act)
        b = t.row(f"{name}.cheap_operation", a, S, half, 3, 1, half, act=act)
        return nd.concat(a, b, dim=1)[:, :out]

    x = t.row("", x, ("conv_stem", "bn1", "act1"), div8(16 * width, 4), 3)
    for i, stage in enumerate(stages):
        for j, (k, e, c, se, s) in enumerate(stage):
            name, wide, out = f"blocks.{i}.{j}", div8(e * width, 4), div8(c * width, 4)
            y = ghost(f"{name}.ghost1", x, wide, "prelu")
            if s > 1:
                y = t.row(name, y, ("conv_dw", "bn_dw"), wide, k, s, wide, act=None)
            if se:
                names = ("conv_reduce", "conv_expand")
                y = t.se(f"{name}.se", y, div8(wide / 4, 4), names, gate=hard)
            y, n = ghost(f"{name}.ghost2", y, out, None), x.shape[1]
            if s > 1 or n != out:
                x = t.row(f"{name}.shortcut", x, ("0", "1"), n, k, s, n, act=None)
                x = t.row(f"{name}.shortcut", x, ("2", "3"), out, act=None)
            x = x + y
    x = t.row("blocks.9.0", x, ("conv", "bn1", "act1"), div8(512 * width, 4))
    return t.gdc("output_layer", x)


def proxylessnas(t, x, version):
    channels, kernels, expansions, kept = {
        "mobile": (
            ((16,), (32,) * 4, (40,) * 4, (80,) * 4 + (96,) * 4, (192,) * 4 + (320,)),
            ((3,), (5, 3, 3, 3), (7, 3, 5, 5), (7, 5, 5, 5, 5, 5, 5, 5), (7,) * 5),
            ((1,), (3,) * 4, (3,) * 4, (6, 3, 3, 3, 6, 3, 3, 3), (6, 6, 3, 3, 6)),
            ("1", "1100", "1111", "11111111", "11111"),
        ),
        "cpu": (
            ((24,), (32,) * 4, (48,) * 4, (88,) * 4 + (104,) * 4, (216,) * 4 + (360,)),
            ((3,), (3,) * 4, (3, 3, 3, 5), (3, 3, 3, 3, 5, 3, 3, 3), (5, 5, 5, 3, 5)),
            ((1,), (6, 3, 3, 3), (6, 3, 3, 3), (6, 3, 3, 3, 6, 3, 3, 3), (6, 3, 3, 3, 6)),
            ("1", "1111", "1111", "10011111", "11111"),
        ),
        "gpu": (
            ((24,), (32,) * 4, (56,) * 4, (112,) * 4 + (128,) * 4, (256,) * 4 + (432,)),
            ((3,), (5, 3, 3, 3), (7, 3, 3, 3), (7, 5, 5, 5, 5, 3, 3, 5), (7, 7, 7, 5, 7)),
            ((1,), (3,) * 4, (3,) * 4, (6, 3, 3, 3, 6, 3, 3, 3), (6,) * 5),
            ("1", "1000", "1001", "10011011", "11111"),
        ),
    }[version]
    identity = ("0", "0111", "0111", "01110111", "01110")
    x = t.row("features.init_block", x, R, {"mobile": 32}.get(version, 40), 3, eps=1e-3)
    for i, stage in enumerate(channels):
        for j, c in enumerate(stage):
            if kept[i][j] == "0":
                continue
            name, k, wide = f"features.stage{i + 1}.unit{j + 1}.body", kernels[i][j], x.shape[1]
            y, wide = x, wide * expansions[i][j]
            if expansions[i][j] > 1:
                y = t.row(f"{name}.bc_conv", y, R, wide, act="relu6", eps=1e-3)
            s = 2 if i and not j else 1
            y = t.row(f"{name}.dw_conv", y, R, wide, k, s, wide, act="relu6", eps=1e-3)
            y = t.row(f"{name}.pw_conv", y, R, c, act=None, eps=1e-3)
            x = x + y if identity[i][j] == "1" else y
    return t.gdc("output", t.row("features.final_block", x, R, 512, eps=1e-3))


def efficientnet(t, x, depth=1.0, width=1.0):
    counts = [int(np.ceil(n * depth)) for n in (1, 2, 2, 3, 3, 4, 1)]
    rows = zip(
        counts,
        [div8(c * width) for c in (16, 24, 40, 80, 112, 192, 320)],
        (3, 3, 5, 3, 5, 5, 3),
        (1, 2, 2, 2, 1, 2, 1),
        (1, 2, 3, 4, 4, 5, 5),
    )
    x, units = t.row("features.init_block.conv", x, R, div8(32 * width), 3), {}
    for count, c, k, stride, stage in rows:
        for i in range(count):
            units[stage] = units.get(stage, 0) + 1
            name, s, n = f"features.stage{stage}.unit{units[stage]}", 1 if i else stride, x.shape[1]
            if stage == 1:
                y = t.row(f"{name}.dw_conv", x, R, n, 3, 1, n)
                y = t.row(f"{name}.pw_conv", t.se(f"{name}.se", y, n // 4), R, c, act=None)
            else:
                y = t.row(f"{name}.conv1", x, R, 6 * n)
                y = t.row(f"{name}.conv2", y, R, 6 * n, k, s, 6 * n)
                y = t.row(f"{name}.conv3", t.se(f"{name}.se", y, 6 * n // 24), R, c, act=None)
            x = x + y if y.shape == x.shape else y
    return t.gdc("output", t.row("features.final_block", x, R, 512))


def rexnet(t, x, width):
    x = t.row("features", x, ("0", "1"), round(32 * width), 3, act="swish")
    for i in range(16):
        name, k, y = f"features.{i + 3}.out", 0, x
        c, s, wide = round((16 + 11.25 * i) * width), 2 if i in (1, 3, 5, 11) else 1, x.shape[1]
        if i:
            wide *= 6
            y, k = t.row(name, y, ("0", "1"), wide, act="swish"), 3
        y, k = t.row(name, y, (str(k), str(k + 1)), wide, 3, s, wide, act=None), k + 2
        if i >= 3:
            z = t.conv(f"{name}.{k}.fc.0", mean(y), wide // 12, bias=True)
            z = nd.relu(t.bn(f"{name}.{k}.fc.1", z))
            y, k = y * nd.sigmoid(t.conv(f"{name}.{k}.fc.3", z, wide, bias=True)), k + 1
        y = t.row(name, relu6(y), (str(k + 1), str(k + 2)), c, act=None)
        if s == 1 and x.shape[1] <= c:
            n = x.shape[1]
            y = nd.concat(y[:, :n] + x, y[:, n:], dim=1) if n < c else y + x
        x = y
    return t.gdc("output_layer", t.row("features", x, ("19", "20"), 512, act="swish"))


IR_UNITS = {"50": (3, 4, 14, 3), "100": (3, 13, 30, 3)}


def ir_unit(t, name, x, out, s, se):
    n = x.shape[1]
    y = t.conv(f"{name}.res_layer.1", t.bn(f"{name}.res_layer.0", x), out, 3)
    y = t.conv(f"{name}.res_layer.3", t.prelu(f"{name}.res_layer.2", y), out, 3, s)
    y = t.bn(f"{name}.res_layer.4", y)
    if se:
        y = t.se(f"{name}.res_layer.5", y, out // 16, ("fc1", "fc2"), bias=False)
    if n == out:
        return y + x[:, :, ::s, ::s]
    return y + t.row(f"{name}.shortcut_layer", x, ("0", "1"), out, 1, s, act=None)


def ir(t, x, depth, se, old=False):
    x, number = t.row("input_layer", x, S, 64, 3), 0
    for count, out in zip(IR_UNITS[depth], (64, 128, 256, 512)):
        for i in range(count):
            x = ir_unit(t, f"body.{number}", x, out, 1 if i else 2, se)
            number += 1
    if old:
        return t.fc_head(x)
    return t.fc_head(x, ("bn2", "fc", "features"), gamma=np.ones(512))


def adaface(t, x, units, se):
    """AdaFace's IR, before it divides by the length of the embedding."""
    x, number = t.row("input_layer", x, S, 64, 3), 0
    for count, out in zip(units, (64, 128, 256, 512)):
        for i in range(count):
            name, s, n = f"body.{number}", 1 if i else 2, x.shape[1]
            number += 1
            y = t.conv(f"{name}.res_layer.1", t.bn(f"{name}.res_layer.0", x), out, 3)
            y = t.prelu(f"{name}.res_layer.3", t.bn(f"{name}.res_layer.2", y))
            y = t.bn(f"{name}.res_layer.5", t.conv(f"{name}.res_layer.4", y, out, 3, s))
            if se:
                y = t.se(f"{name}.res_layer.se_block", y, out // 16, ("fc1", "fc2"), bias=False)
            if n == out:
                x = y + x[:, :, ::s, ::s]
            else:
                x = y + t.row(f"{name}.shortcut_layer", x, ("0", "1"), out, 1, s, act=None)
    return t.fc_head(x)


def attention_net(t, x, depth, se):
    def unit(name, x, out=None, s=1):
        return ir_unit(t, name, x, out or x.shape[1], s, se)

    def up(x, size):
        return nd.contrib.BilinearResize2D(x, height=size, width=size)

    def tail(name, x):
        x = t.conv(f"{name}.2", nd.relu(t.bn(f"{name}.0", x)), x.shape[1])
        return nd.sigmoid(t.conv(f"{name}.5", nd.relu(t.bn(f"{name}.3", x)), x.shape[1]))

    def two(name, x):
        return unit(f"{name}.1", unit(f"{name}.0", x))

    def first(m, x):
        x = unit(f"{m}.share_residual_block", x)
        trunk = two(f"{m}.trunk_branches", x)
        b1 = unit(f"{m}.mask_block1", pool(x))
        s1 = unit(f"{m}.skip_connect1", b1)
        b2 = unit(f"{m}.mask_block2", pool(b1))
        s2 = unit(f"{m}.skip_connect2", b2)
        b3 = two(f"{m}.mask_block3", pool(b2))
        b4 = unit(f"{m}.mask_block4", up(b3, 14) + b2 + s2)
        b5 = unit(f"{m}.mask_block5", up(b4, 28) + b1 + s1)
        mask = tail(f"{m}.mask_block6", up(b5, 56) + trunk)
        return unit(f"{m}.last_block", 1 + mask + trunk)

    def second(m, x):
        x = unit(f"{m}.first_residual_blocks", x)
        trunk = two(f"{m}.trunk_branches", x)
        b1 = unit(f"{m}.softmax1_blocks", pool(x))
        s1 = unit(f"{m}.skip1_connection_residual_block", b1)
        b2 = two(f"{m}.softmax2_blocks", pool(b1))
        b3 = unit(f"{m}.softmax3_blocks", up(b2, 14) + b1 + s1)
        mask = tail(f"{m}.softmax4_blocks", up(b3, 28) + trunk)
        return unit(f"{m}.last_blocks", (1 + mask) * trunk)

    def third(m, x):
        x = unit(f"{m}.first_residual_blocks", x)
        trunk = two(f"{m}.trunk_branches", x)
        b1 = two(f"{m}.softmax1_blocks", pool(x))
        mask = tail(f"{m}.softmax2_blocks", up(b1, 14) + trunk)
        return unit(f"{m}.last_blocks", (1 + mask) * trunk)

    x = t.row("input_layer", x, S, 64, 3)
    counts = {"56": (1, 1, 1), "92": (1, 2, 3)}[depth]
    for i, (count, module, out) in enumerate(
        zip(counts, (first, second, third), (64, 128, 256)), 1
    ):
        x = unit(f"residual_block{i}", x, out, 2)
        for j in range(1, count + 1):
            x = module(f"attention_module{i}" + (f"_{j}" if j > 1 else ""), x)
    for i, s in ((4, 2), (5, 1), (6, 1)):
        x = unit(f"residual_block{i}", x, 512, s)
    return t.fc_head(x)


def resnest(t, x, stem, units):
    for i, (out, s) in enumerate(((stem, 2), (stem, 1))):
        x = t.row("conv1", x, [str(3 * i + k) for k in range(3)], out, 3, s)
    x = t.prelu("relu", t.bn("bn1", t.conv("conv1.6", x, 2 * stem, 3)))
    for i, (count, w) in enumerate(zip(units, (64, 128, 256, 512)), 1):
        for j in range(count):
            name, s = f"layer{i}.{j}", 2 if i > 1 and not j else 1
            y = t.prelu(f"{name}.relu", t.row(name, x, ("conv1", "bn1"), w, act=None), 1)
            m = f"{name}.conv2"
            y = nd.relu(t.bn(f"{m}.bn0", t.conv(f"{m}.conv", y, 2 * w, 3, g=2)))
            gap = mean(y[:, :w] + y[:, w:])
            gap = t.conv(f"{m}.fc1", gap, max(w // 2, 32), bias=True)
            gap = t.conv(f"{m}.fc2", nd.relu(t.bn(f"{m}.bn1", gap)), 2 * w, bias=True)
            a = nd.softmax(gap.reshape((-1, 2, w)), axis=1).reshape((-1, 2 * w, 1, 1))
            y = (y * a)[:, :w] + (y * a)[:, w:]
            if s > 1:
                y = pool(y, 3, s, 1, "avg")
            y = t.row(name, y, ("conv3", "bn3"), 4 * w, act=None)
            if not j:
                x = pool(x, s, s, 0, "avg") if s > 1 else x
                x = t.row(f"{name}.downsample", x, ("1", "2"), 4 * w, act=None)
            x = t.prelu(f"{name}.relu", x + y, 1)
    return t.fc_head(x, ("fc.0", "fc.3", "fc.4"))


def densenet(t, x, width, growth, units):
    def before(name, x, out, k=1):
        return t.conv(f"{name}.conv", t.prelu(f"{name}.activ", t.bn(f"{name}.bn", x)), out, k)

    x = t.row("input_layer", x, S, width, 3, 2)
    for i, count in enumerate(units, 1):
        if i > 1:
            y = before(f"features.stage{i}.trans{i}.conv", x, x.shape[1] // 2)
            x = pool(y, 2, 2, 0, "avg")
        for j in range(1, count + 1):
            name = f"features.stage{i}.unit{j}"
            y = before(f"{name}.conv2", before(f"{name}.conv1", x, 4 * growth), growth, 3)
            x = nd.concat(x, y, dim=1)
    return t.fc_head(x)


def bottleneck(t, name, x, out, s=1, g=1, width=None):
    w = width or out // 4
    y = nd.relu(t.row(name, x, ("conv1", "bn1"), w, act=None))
    y = nd.relu(t.row(name, y, ("conv2", "bn2"), w, 3, s, g, act=None))
    y = t.row(name, y, ("conv3", "bn3"), out, act=None)
    if x.shape != y.shape:
        x = t.row(f"{name}.downsample", x, ("0", "1"), out, 1, s, act=None)
    return nd.relu(x + y)


def resnext(t, x):
    x = pool(nd.relu(t.row("", x, ("conv1", "bn1"), 64, 7, 2, act=None)))
    for i, (count, w) in enumerate(zip((3, 4, 6, 3), (64, 128, 256, 512)), 1):
        for j in range(count):
            s = 2 if i > 1 and not j else 1
            x = bottleneck(t, f"layer{i}.{j}", x, 4 * w, s, 32, 2 * w)
    return t.fc_head(x, ("bn_o1", "fc", "bn_o2"), gamma=None)


def hrnet(t, x, w=18):
    def basic(name, x):
        y = nd.relu(t.row(name, x, ("conv1", "bn1"), x.shape[1], 3, act=None))
        return nd.relu(x + t.row(name, y, ("conv2", "bn2"), x.shape[1], 3, act=None))

    def down(name, x, out, s=2):
        return t.row(name, x, ("0", "1"), out, 3, s, act="relu")

    def module(name, maps):
        result = []
        for b in range(len(maps)):
            for u in range(4):
                maps[b] = basic(f"{name}.branches.{b}.{u}", maps[b])
        for i in range(len(maps)):
            total = 0
            for j, y in enumerate(maps):
                fuse = f"{name}.fuse_layers.{i}.{j}"
                if j > i:
                    y = t.row(fuse, y, ("0", "1"), w << i, act=None)
                    y = y.repeat(2 ** (j - i), axis=2).repeat(2 ** (j - i), axis=3)
                for k in range(i - j):
                    last = k == i - j - 1
                    y = t.row(f"{fuse}.{k}", y, ("0", "1"), w << (i if last else j), 3, 2, act=None)
                    y = y if last else nd.relu(y)
                total = total + y
            result.append(nd.relu(total))
        return result

    x = nd.relu(t.row("", x, ("conv1", "bn1"), 64, 3, act=None))
    x = nd.relu(t.row("", x, ("conv2", "bn2"), 64, 3, 2, act=None))
    for i in range(4):
        x = bottleneck(t, f"layer1.{i}", x, 256)
    maps = [down("transition1.0", x, w, 1), down("transition1.1.0", x, 2 * w)]
    for stage, count in ((2, 1), (3, 4), (4, 3)):
        if stage > 2:
            name = f"transition{stage - 1}.{stage - 1}.0"
            maps.append(down(name, maps[-1], w << (stage - 1)))
        for m in range(count):
            maps = module(f"stage{stage}.{m}", maps)
    wide = [bottleneck(t, f"incre_modules.{i}.0", y, 128 << i) for i, y in enumerate(maps)]
    y = wide[0]
    for i in range(3):
        name = f"downsamp_modules.{i}"
        y = wide[i + 1] + t.row(name, y, ("0", "1"), 256 << i, 3, 2, bias=True, act="relu")
    return t.fc_head(y, ("final_layer.0", "final_layer.3", "final_layer.4"))


# --- MixFaceNets -------------------------------------------------------------------------------


def mixfacenet(t, x, version, factor, final, shuffle):
    init, rows = {
        "s": (
            16,
            (
                ((24,) * 2, (2, 2), (1, 1), (2, 2), (6, 3), 0),
                ((40,) * 4, (1, 2, 2, 2), (3, 2, 2, 2), (1, 2, 2, 2), (6,) * 4, 2),
                ((80,) * 3, (1, 1, 1), (3, 2, 2), (2, 2, 2), (6,) * 3, 4),
                (
                    *((120,) * 3 + (200,) * 3, (2, 2, 2, 1, 1, 1), (3, 4, 4, 5, 4, 4)),
                    *((2, 2, 2, 1, 2, 2), (6, 3, 3, 6, 6, 6), 2),
                ),
            ),
        ),
        "m": (
            24,
            (
                ((32,) * 2, (2, 2), (3, 1), (2, 2), (6, 3), 0),
                ((40,) * 4, (1, 2, 2, 2), (4, 2, 2, 2), (1, 2, 2, 2), (6,) * 4, 2),
                ((80,) * 4, (1, 2, 2, 2), (3, 4, 4, 4), (1, 2, 2, 2), (6,) * 4, 4),
                (
                    *((120,) * 4 + (200,) * 4, (1, 2, 2, 2, 1, 1, 1, 1), (1, 4, 4, 4, 4, 4, 4, 4)),
                    *((1, 2, 2, 2, 1, 2, 2, 2), (6, 3, 3, 3, 6, 6, 6, 6), 2),
                ),
            ),
        ),
    }[version]

    def sizes(n, parts):
        return [n // parts + (n % parts if not i else 0) for i in range(parts)]

    def mixed(name, x, out, parts, kernel, s, depthwise, act):
        if parts == 1:
            k, g = (3, out) if depthwise else (1, 1)
            return t.row(name, x, R, out, k, s, g, act=act)
        begin, result = 0, []
        for i, (a, b) in enumerate(zip(sizes(x.shape[1], parts), sizes(out, parts))):
            y, begin = x[:, begin : begin + a], begin + a
            k = 3 + 2 * i if depthwise else 1
            result.append(t.conv(f"{name}.conv.{i}", y, b, k, s, b if depthwise else 1))
        y = t.bn(f"{name}.bn", nd.concat(*result, dim=1))
        if act == "prelu":
            return t.prelu(f"{name}.activ", y)
        return swish(y) if act else y

    def shuffled(x):
        n, c, h, w = x.shape
        pairs = x.reshape((n, c // 2, 2, h, w))
        return pairs.transpose((0, 2, 1, 3, 4)).reshape((n, c, h, w)) if shuffle else x

    def scaled(c):
        return div8(c * factor) if factor != 1 else c

    x = t.row("features.init_block.conv1", x, R, scaled(init), 3, 2)
    n = x.shape[1]
    y = t.row("features.init_block.conv2.conv1", x, R, n, 3, 1, n)
    x = shuffled(x + t.row("features.init_block.conv2.conv2", y, R, n, act=None))
    for i, (channels, *counts, expansions, reduction) in enumerate(rows):
        for j, c in enumerate(channels):
            name, act, n = (
                f"features.stage{i + 1}.unit{j + 1}",
                "swish" if i else "prelu",
                x.shape[1],
            )
            s = 2 if (j == 0 and i in (1, 2)) or (i == 3 and j == len(channels) // 2) else 1
            wide, (e, d, p) = n * expansions[j], (count[j] for count in counts)
            y = mixed(f"{name}.exp_conv", x, wide, e, 1, 1, False, act)
            y = mixed(f"{name}.conv1", y, wide, d, 3, s, True, act)
            if reduction:
                middle = wide // (expansions[j] * reduction)
                y = t.se(f"{name}.se", y, middle, act=swish)
            y = mixed(f"{name}.conv2", y, scaled(c), p, 1, 1, False, None)
            x = shuffled(x + y if y.shape == x.shape else y)
    x = t.row("tail", x, R, final)
    x = t.row("feautre_layer.dw_conv", x, R, final, 7, 1, final, pad=0, act=None)
    x = t.conv("feautre_layer.pw_conv.conv", x, 512).reshape((0, -1))
    return t.bn("features_norm", x, gamma=np.ones(512))


# --- arcface_torch -----------------------------------------------------------------------------


def mbf_large(t, x):
    names = [f"layers.{i}" for i in range(3)]

    def depth_wise(name, x, out, g, s):
        y = t.row(f"{name}.layers.0", x, names, g)
        y = t.row(f"{name}.layers.1", y, names, g, 3, s, g)
        y = t.row(f"{name}.layers.2", y, names, out, act=None)
        return x + y if s == 1 else y

    x = t.row("layers.0", x, names, 256, 3, 2)
    rows = ((None, 128, 2, 256), (128, 128, 8, 256), (256, 256, 12, 512), (512, 256, 4, 512))
    number = 0
    for down, g, count, out in rows:
        if down:
            number += 1
            x = depth_wise(f"layers.{number}", x, out, down, 2)
        number += 1
        for i in range(count):
            x = depth_wise(f"layers.{number}.layers.{i}", x, out, g, 1)
    x = t.row("conv_sep", x, names, 512)
    x = t.row("features.layers.0", x, names, 512, 7, 1, 512, pad=0, act=None).reshape((0, -1))
    return t.bn("features.layers.3", t.linear("features.layers.2", x, 512, bias=False))


def iresnet(t, x, units):
    def three(name, x, names, out, s=1):
        return t.bn(f"{name}{names[1]}", t.conv(f"{name}{names[0]}", x, out, 3, s))

    x = t.prelu("prelu", three("", x, ("conv1", "bn1"), 64))
    for i, (count, out) in enumerate(zip(units, (64, 128, 256, 512)), 1):
        for j in range(count):
            name, s = f"layer{i}.{j}.", 1 if j else 2
            y = three(name, t.bn(f"{name}bn1", x), ("conv1", "bn2"), out)
            y = three(name, t.prelu(f"{name}prelu", y), ("conv2", "bn3"), out, s)
            if not j:
                x = t.row(f"{name}downsample", x, ("0", "1"), out, 1, 2, act=None)
            x = x + y
    return t.fc_head(x, ("bn2", "fc", "features"), gamma=np.ones(512))


def vit(t, x, width, depth):
    x = t.conv("patch_embed.proj", x, width, 9, 9, bias=True, pad=0)
    x = x.reshape((0, 0, -1)).transpose((0, 2, 1)) + t.normal("pos_embed", (1, 144, width))
    t.normal("mask_token", (1, 1, width))

    def linear(name, x, out, bias=True):
        return t.linear(name, x.reshape((-1, x.shape[-1])), out, bias).reshape((-1, 144, out))

    for i in range(depth):
        name = f"blocks.{i}"
        qkv = linear(f"{name}.attn.qkv", t.norm(f"{name}.norm1", x), 3 * width, bias=False)
        qkv = qkv.reshape((-1, 144, 3, 8, width // 8)).transpose((2, 0, 3, 1, 4))
        q, k, v = (qkv[j].reshape((-1, 144, width // 8)) for j in range(3))
        a = nd.softmax(nd.batch_dot(q, k, transpose_b=True) * (width // 8) ** -0.5, axis=-1)
        y = nd.batch_dot(a, v).reshape((-1, 8, 144, width // 8)).transpose((0, 2, 1, 3))
        x = x + linear(f"{name}.attn.proj", y.reshape((-1, 144, width)), width)
        y = relu6(linear(f"{name}.mlp.fc1", t.norm(f"{name}.norm2", x), 4 * width))
        x = x + linear(f"{name}.mlp.fc2", y, width)
    x = t.norm("norm", x).reshape((0, -1))
    x = t.bn("feature.1", t.linear("feature.0", x, width, bias=False), eps=2e-5)
    return t.bn("feature.3", t.linear("feature.2", x, 512, bias=False), eps=2e-5)


# Our name -> their network.
NETWORKS = {
    **{
        f"mobilefacenet_{a}": (lambda t, x, a=a: mobilefacenet(t, x, a))
        for a in ("se", "eca", "cbam", "gct")
    },
    "mobilenetv2": mobilenetv2,
    "mobilenetv3": mobilenetv3,
    "mobilenext": mobilenext,
    "ghostnet": lambda t, x: ghostnet(t, x, 1.0),
    "ghostnet_x1.3": lambda t, x: ghostnet(t, x, 1.3),
    **{
        f"proxylessnas_{v}": (lambda t, x, v=v: proxylessnas(t, x, v))
        for v in ("mobile", "cpu", "gpu")
    },
    "efficientnet_b0": efficientnet,
    "efficientnet_b1": lambda t, x: efficientnet(t, x, 1.1),
    "efficientnet_b2": lambda t, x: efficientnet(t, x, 1.2, 1.1),
    "rexnetv1_x1.0": lambda t, x: rexnet(t, x, 1.0),
    "rexnetv1_x1.3": lambda t, x: rexnet(t, x, 1.3),
    "ir_50": lambda t, x: ir(t, x, "50", False),
    "ir_se_50": lambda t, x: ir(t, x, "50", True),
    "attentionnet_irse_56": lambda t, x: attention_net(t, x, "56", True),
    "attentionnet_ir_92": lambda t, x: attention_net(t, x, "92", False),
    "resnest50": lambda t, x: resnest(t, x, 32, (3, 4, 6, 3)),
    "resnext50": resnext,
    "densenet121": lambda t, x: densenet(t, x, 64, 32, (6, 12, 24, 16)),
    "hrnet_w18": hrnet,
    **{
        f"{'shuffle' * b}mixfacenet_{n}": (
            lambda t, x, n=n, b=b: mixfacenet(
                t, x, "m" if n == "m" else "s", *((0.5, 512) if n == "xs" else (1, 1024)), b
            )
        )
        for n in ("m", "s", "xs")
        for b in (0, 1)
    },
    "mbf_large": mbf_large,
    "iresnet18": lambda t, x: iresnet(t, x, (2, 2, 2, 2)),
    "iresnet34": lambda t, x: iresnet(t, x, (3, 4, 6, 3)),
    "adaface_ir_18": lambda t, x: adaface(t, x, (2, 2, 2, 2), False),
    "adaface_ir_se_50": lambda t, x: adaface(t, x, (3, 4, 14, 3), True),
    "vit_t": lambda t, x: vit(t, x, 256, 12),
}

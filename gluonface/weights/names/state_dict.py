"""Weights out: the state dict that the public PyTorch class of a network loads with strict=True."""

from __future__ import annotations

import difflib
import re
import typing

import numpy as np

from ...errors import InputError

__all__ = ["PUBLIC", "state_dict"]

ARCFACE = "arcface_torch: backbones.get_model('{}', fp16=False, num_features={{size}})"
TIMM = "timm_face: timm.create_model('{}', num_classes={{size}}, {})"
FACENET = "cavaface: MobileFaceNet([112, 112], {{size}}, output_name='GDC', attention='{}')"
# Ours -> the public class. All names and shapes of these have been compared with those of the
# class. One without a size to fill in gives 512 numbers.
PUBLIC = {
    **{f"iresnet{n}": ARCFACE.format(f"r{n}") for n in (18, 34, 50, 100, 200)},
    **{name: ARCFACE.format(name) for name in ("mbf", "mbf_large", "vit_t", "vit_s", "vit_b")},
    **{f"adaface_ir_{n}": f"AdaFace: net.build_model('ir_{n}')" for n in (18, 34, 50, 101)},
    "adaface_ir_se_50": "AdaFace: net.build_model('ir_se_50')",
    **{f"ir_{n}": f"cavaface: IR_{n}([112, 112])" for n in (50, 100, 101)},
    **{f"ir_se_{n}": f"cavaface: IR_SE_{n}([112, 112])" for n in (50, 100)},
    "attentionnet_ir_56": "cavaface: AttentionNet_IR_56([112, 112])",
    "attentionnet_irse_92": "cavaface: AttentionNet_IRSE_92([112, 112])",
    "mobilefacenet": FACENET.format("none"),
    **{f"mobilefacenet_{kind}": FACENET.format(kind) for kind in ("se", "eca", "cbam", "gct")},
    "mobilenetv2": "cavaface: MobileNetV2([112, 112])",
    "mobilenetv3": "cavaface: MobileNetV3([112, 112])",
    "mobilenext": "cavaface: MobileNeXt([112, 112])",
    "ghostnet_x1.3": "cavaface: GhostNet([112, 112])",
    "rexnetv1_x1.0": "cavaface: ReXNetV1([112, 112])",
    **{f"resnest{n}": f"cavaface: ResNeSt_{n}([112, 112])" for n in (50, 101)},
    **{
        f"edgeface_{name}": f"edgeface: backbones.get_model('edgeface_{name}')"
        for name in ("xxs", "xs_gamma_06", "s_gamma_05", "base")
    },
    **{
        f"timmface_convnext_{size}": TIMM.format(f"convnext_{size}", "patch_size=2")
        for size in ("atto", "nano")
    },
    "timmface_vit_tiny_patch8": TIMM.format("vit_tiny_patch16_224", "patch_size=8, img_size=112"),
    "timmface_vit_small_patch8_gap": TIMM.format(
        "vit_small_patch16_224",
        "patch_size=8, img_size=112, class_token=False, global_pool='avg'",
    ),
}
COUNTER = "num_batches_tracked"
NORM = {"gamma": "weight", "beta": "bias"}
# Layers that are 1x1 convolutions here and linear there.
LINEAR = {
    "mobilefacenet_cbam": re.compile(r"\.mlp\.fc\d$"),
    "mobilenetv3": re.compile(r"\.fc\.\d$"),
}
# Linear layers here, 1x1 convolutions there; by the beginning of our name.
CONVOLUTIONS = {
    "edgeface_": re.compile(r"\.token_projection$"),
    "timmface_convnext_": re.compile(r"\.mlp\.fc\d$"),
}
PREFIXES = {"edgeface_": "model."}  # of all names there; by the beginning of our name
MEAN, SCALE = 127.5, 1 / 127.5  # of the pixels that these networks see


def _check(cfg):
    """Raise InputError unless there is a public class with the same tensors."""
    known = PUBLIC.get(cfg.name)
    if known is None:
        near = difflib.get_close_matches(cfg.name, PUBLIC, n=1, cutoff=0) or [""]
        raise InputError(
            f"{cfg.name} has no public PyTorch class whose tensors are known, so none would load "
            f"it; the nearest that has one is {near[0]}. Export ONNX instead"
        )
    if "{size}" not in known and cfg.embedding_size != 512:
        raise InputError(
            f"the public class of {cfg.name} gives 512 numbers, this model {cfg.embedding_size}; "
            "export ONNX instead"
        )
    if abs(cfg.mean - MEAN) > 1e-6:
        raise InputError(
            f"the model subtracts {cfg.mean:g} from the pixels, its public class gets them less "
            f"{MEAN:g}; export ONNX instead"
        )


def state_dict(net: typing.Any, modules: dict[str, typing.Any]) -> dict[str, np.ndarray]:
    """Return the tensors of a backbone under the names and in the shapes of its public class.

    Parameters
    ----------
    net : Backbone
        With values. If it scales the pixels by another factor than 1 / 127.5, the first
        convolution makes up for it.
    modules : dict of str to str
        Their names of modules, and ours. Where theirs have had several, the last counts.

    Raises
    ------
    InputError
        If there is no such class, or it gives another number of values or gets other pixels.
    """
    cfg = net.cfg
    _check(cfg)
    linear, convolutions = LINEAR.get(cfg.name), _by_beginning(CONVOLUTIONS, cfg.name)
    prefix = _by_beginning(PREFIXES, cfg.name) or ""
    ours = net._collect_params_with_prefix()
    parts: dict[str, dict[str, typing.Any]] = {}
    for key, parameter in ours.items():
        module, _, role = key.rpartition(".")
        parts.setdefault(module, {})[role] = parameter
    last = {target: theirs for theirs, target in modules.items()}
    first = next(name for name, p in ours.items() if len(p.shape) == 4 and p.shape[1] == 3)
    found: dict[str, np.ndarray] = {}
    for theirs, target in modules.items():
        if last[target] != theirs:
            continue
        if target in ours:
            found[prefix + theirs] = ours[target].data().asnumpy()
            continue
        roles = parts.get(target, {})
        norm = "running_mean" in roles
        affine = not norm or any(roles[key].grad_req != "null" for key in NORM)
        for role, parameter in roles.items():
            if role in NORM and not affine:
                continue  # PyTorch has none where neither is learnt
            array = parameter.data().asnumpy()
            if f"{target}.{role}" == first:
                array = array * np.float32(cfg.scale / SCALE)
            if role == "weight" and linear is not None and linear.search(theirs):
                array = array.reshape(array.shape[:2])
            if role == "weight" and convolutions is not None and convolutions.search(theirs):
                array = array.reshape((*array.shape, 1, 1))
            found[f"{prefix}{theirs}.{_role(role, roles)}"] = array
        if norm:
            found[f"{prefix}{theirs}.{COUNTER}"] = np.array(0, np.int64)
    return found


def _by_beginning(table, name):
    return next((value for key, value in table.items() if name.startswith(key)), None)


def _role(role, roles):
    """Return what theirs call a parameter of a module with these parameters."""
    if set(roles) in ({"alpha"}, {"gamma", "beta"}) or "running_mean" in roles:
        return {"alpha": "weight", **NORM}.get(role, role)
    return role

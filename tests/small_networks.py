"""MobileFaceNet and iResNets of few channels, for commands whose networks would take minutes.

``python small_networks.py WORDS...`` runs ``gluonface WORDS...`` with them.
"""

import contextlib
import sys
import unittest.mock


@contextlib.contextmanager
def small_networks():
    """Have the small ones built under the names of the large."""
    from gluonface.model_zoo import BACKBONES, iresnet, mobilefacenet

    stages = tuple((blocks, 16, 16, stride) for blocks, *_, stride in mobilefacenet.STAGES)

    def small_mobilefacenet(cfg, **options):
        with unittest.mock.patch.object(mobilefacenet, "STAGES", stages):
            return mobilefacenet.MobileFaceNet(cfg, **options)

    def small_iresnet(cfg, **options):
        return iresnet.IResNet(cfg, (1, 1, 1, 1), (8, 8, 8, 16, 16), **options)

    small = {"mobilefacenet": small_mobilefacenet}
    small.update(dict.fromkeys(("iresnet50", "iresnet100"), small_iresnet))
    entries = {name: (BACKBONES.get(name)[0], build) for name, build in small.items()}
    with unittest.mock.patch.dict(BACKBONES._entries, entries):
        yield


if __name__ == "__main__":
    from gluonface.cli import main

    with small_networks():
        sys.exit(main(sys.argv[1:]))

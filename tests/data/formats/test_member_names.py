"""Names that lead out of an archive."""

import pytest

from gluonface.data.formats.member_names import clean_name


@pytest.mark.parametrize(
    ("name", "clean", "reason"),
    [
        ("a/1.png", "a/1.png", None),
        ("./a//./1.png", "a/1.png", None),
        ("m.0abc/..1.png", "m.0abc/..1.png", None),
        ("/etc/passwd", None, "absolute"),
        ("C:\\x.png", None, "absolute"),
        ("c:/x.png", None, "absolute"),
        ("a/../../x.png", None, "leads out"),
        ("..\\x.png", None, "leads out"),
        ("./", None, "no name"),
        ("a\0b.png", None, "zero byte"),
    ],
)
def test_names(name, clean, reason):
    found, why = clean_name(name)
    if reason is None:
        assert (found, why) == (clean, None)
    else:
        assert reason in why

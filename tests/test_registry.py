import pytest

from gluonface.errors import InputError
from gluonface.registry import Registry


@pytest.fixture
def registry():
    registry = Registry("model")
    for name in ("iresnet100", "iresnet50", "mobilefacenet"):
        registry.register(name, aliases=(name.replace("iresnet", "R"),) if "ires" in name else ())(
            name.upper()
        )
    return registry


def test_names_and_aliases_are_found_in_any_case(registry):
    assert registry.get("MobileFaceNet") == "MOBILEFACENET"
    assert registry.get("r50") == registry.get("R50") == "IRESNET50"
    assert registry.resolve("r100") == "iresnet100"
    assert registry.aliases("iresnet50") == ["r50"]
    assert "R100" in registry
    assert "r18" not in registry
    assert len(registry) == 3


def test_the_list_is_in_natural_order_and_takes_wildcards(registry):
    assert registry.list() == ["iresnet50", "iresnet100", "mobilefacenet"]
    assert registry.list("*NET1*") == ["iresnet100"]
    assert registry.list("vit*") == []


def test_an_unknown_name_suggests_the_nearest(registry):
    with pytest.raises(InputError, match=r"'mobilfacenet'.* Did you mean 'mobilefacenet'"):
        registry.get("mobilfacenet")
    with pytest.raises(InputError, match="Known: iresnet50, iresnet100, mobilefacenet"):
        registry.get("zzz")


def test_a_name_is_registered_once_and_in_lower_case(registry):
    for name in ("mobilefacenet", "R50"):
        with pytest.raises(ValueError, match="registered twice"):
            registry.register(name)(object())
    with pytest.raises(ValueError, match="lower case"):
        registry.register("ViT")(object())

"""The plots of the docs that are drawn from files and registries."""

import csv
from xml.etree import ElementTree

import numpy as np
import pytest
from doc_pages import generator


def svg(fragment):
    """Return the root of the picture in a fragment of raw HTML."""
    lines = fragment.split("\n")[2:]
    return ElementTree.fromstring("\n".join(lines))


def titles(fragment):
    return [node.text for node in svg(fragment).iter("title")]


@pytest.fixture(scope="module")
def zoo():
    return generator("_zoo_plots").pages()


def test_each_published_accuracy_has_a_mark_with_its_name(zoo):
    from gluonface.model_zoo._table import table

    published = [
        (row["name"], figure["ijbc"])
        for row in table()
        for figure in row["published"]
        if figure["ijbc"]
    ]
    found = [
        (title.split(":")[0], title.split(": ")[1][:5]) for title in titles(zoo["zoo_accuracy.inc"])
    ]
    assert sorted(found) == sorted(published)


def test_each_measured_speed_has_a_mark_with_its_name(zoo):
    from gluonface.model_zoo._table import table

    measured = [row["name"] for row in table() if row["images_per_s_batch1"]]
    found = [title.split(":")[0] for title in titles(zoo["zoo_speed.inc"])]
    assert sorted(found) == sorted(2 * measured)  # batch 1 and batch 32


@pytest.mark.parametrize("name", ["zoo_accuracy.inc", "zoo_speed.inc"])
def test_marks_and_words_are_inside_the_picture(zoo, name):
    module, root = generator("_zoo_plots"), svg(zoo[name])
    for node in root.iter():
        places = [float(node.get(key)) for key in ("x", "cx", "x1", "x2") if node.get(key)]
        assert all(0 <= place <= module.WIDTH for place in places)
        places = [float(node.get(key)) for key in ("y", "cy", "y1", "y2") if node.get(key)]
        assert all(0 <= place <= module.HEIGHT for place in places)


def test_a_mark_is_where_its_number_is():
    module = generator("_zoo_plots")
    points = [(10, 1.0, "a", "", "c0", "circle"), (1000, 3.0, "b", "", "c0", "circle")]
    root = ElementTree.fromstring(module._plot(points, (1, 3), False, "title", "y", []))
    a, b = root.iter("circle")
    assert float(a.get("cy")) == module.HEIGHT - module.BOTTOM
    assert float(b.get("cy")) == module.TOP
    # log10: 1 to 3, with 0.06 to the left and 0.1 to the right; one decimal is drawn
    share = (float(b.get("cx")) - float(a.get("cx"))) / (module.WIDTH - module.LEFT - module.RIGHT)
    assert share == pytest.approx(2 / 2.16, abs=0.1 / 600)


def test_the_report_of_the_first_page_is_that_of_the_stored_scores():
    module = generator("_examples")
    with open(module.SCORES, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == module.SETTINGS["pairs"]
    assert sum(row["same"] == "1" for row in rows) == len(rows) / 2
    cosine = np.array([float(row["cosine"]) for row in rows])
    same = np.array([row["same"] == "1" for row in rows])
    result = module._result()
    right = ((cosine > result.cosine_threshold) == same).mean()
    assert result.accuracy == pytest.approx(right, abs=0.02)  # of ten folds, and of one threshold
    assert result.accuracy > 0.75, "raw pixels reach 0.69: the network has learnt"


def test_the_stored_pairs_are_in_the_order_of_the_pack():
    from gluonface.data.synthetic.pairs import plan_pairs

    module = generator("_examples")
    with open(module.SCORES, encoding="utf-8", newline="") as file:
        same = [row["same"] == "1" for row in csv.DictReader(file)]
    settings = (module.SETTINGS[key] for key in ("seed", "test_identities", "images", "pairs"))
    assert same == [a == b for a, _, b, _ in plan_pairs(*settings)]


def test_every_recipe_is_in_a_plot(tmp_path, monkeypatch):
    from gluonface.training import list_recipes

    module = generator("_figures")
    monkeypatch.setattr(module, "THEMES", {"light": module.THEMES["light"]})  # one is enough
    (path,) = module.draw_themes(tmp_path, "recipes", module._recipes, (8, 6.4))
    text = path.read_text(encoding="utf-8")
    for name in list_recipes():
        assert name in text or f"{name.split('-')[0]}-*" in text

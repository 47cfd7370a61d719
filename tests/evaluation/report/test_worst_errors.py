import base64
import dataclasses

import numpy as np

from gluonface._compat import cv2
from gluonface.errors import DataError
from gluonface.evaluation.report import worst_errors
from gluonface.evaluation.report.report_folder import write_report
from gluonface.evaluation.report.worst_errors import ErrorSide, name_errors
from gluonface.evaluation.results.evaluation_result import WorstError


def face(number):
    return np.full((112, 112, 3), (number, 255 - number, 40), np.uint8)


def test_the_worst_errors_have_names_and_images(tmp_path, caplog, groups, read_page):
    result = dataclasses.replace(groups(), subsets=())

    def read(row):
        if row == result.worst_errors[0].b:
            raise DataError("face 7 is broken")
        return [face(row), face(row + 1)] if row == result.worst_errors[0].a else [face(row)]

    def entry(row):
        return ErrorSide(f"face {row}", lambda: read(row))

    def bound(_, error):
        return entry(error.a), entry(error.b)

    named = name_errors(result, bound)
    assert named.worst_errors[0].name_a == f"face {result.worst_errors[0].a}"
    page = read_page(write_report(tmp_path, [named], sides=bound))
    shown = [alt for alt, _ in page.images]
    first, broken = (f"face {row}" for row in (result.worst_errors[0].a, result.worst_errors[0].b))
    assert shown[:2] == [first, first]  # of a template of two images both
    assert broken not in shown
    assert "face 7 is broken" in caplog.text
    wanted = [f"face {row}" for error in result.worst_errors[1:] for row in (error.a, error.b)]
    assert [alt for alt in shown[2:] if alt != first] == [
        w for w in wanted if w not in (first, broken)
    ]
    for alt, source in page.images[2:5]:
        head, _, data = source.partition(",")
        assert head == "data:image/jpeg;base64"
        image = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), 1)[:, :, ::-1]
        assert abs(image.astype(int) - face(int(alt.split()[1]))).max() <= 6  # JPEG


def test_what_is_said_of_an_error(groups):
    point = groups().operating_points[0]
    points = [dataclasses.replace(point, target=t, threshold=s, convention="strict")
              for t, s in ((1e-3, 0.6), (1e-2, 0.4))]  # fmt: skip
    points.append(dataclasses.replace(point, target=1e-4, threshold=0.1, convention="reference"))

    def said(kind, score):
        return worst_errors.verdict(WorstError(kind, 0, 1, score), points)

    assert said("highest different", 0.7) == ("A false accept from FAR 0.001 on.", True)
    assert said("highest different", 0.6) == ("A false accept from FAR 0.01 on.", True)
    assert said("highest different", 0.4) == ("Accepted at none of the FARs.", False)
    assert said("lowest same", 0.61) == ("Accepted at every FAR.", False)
    assert said("lowest same", 0.6) == ("A false reject up to FAR 0.001.", True)
    assert said("lowest same", 0.4) == ("A false reject up to FAR 0.01.", True)

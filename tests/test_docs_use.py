"""The examples of docs/use.rst run as they stand, on a small model and made pictures."""

import http.client
import json
import pathlib
import re
import threading

import numpy as np
import pytest
from doc_pages import commands
from recognition_cases import Marked, people_images, write_people

from gluonface.cli import main
from gluonface.data import images
from gluonface.recognition import FaceReader
from gluonface.recognition.trials import people_needed

PAGE = pathlib.Path(__file__).resolve().parents[1] / "docs" / "use.rst"


def example(name):
    """Return the code of the block of this name."""
    text = PAGE.read_text(encoding="utf-8")
    block = re.search(rf"   :name: {name}\n\n((?:   .*\n|\n)+)", text)[1]
    return "\n".join(line[3:] for line in block.split("\n"))


@pytest.fixture
def pictures(tmp_path, monkeypatch, small_prefix):
    monkeypatch.chdir(tmp_path)
    export = tmp_path / "runs/mine/export"
    export.mkdir(parents=True)
    for end in ("-symbol.json", "-0000.params", ".json"):
        content = small_prefix.with_name(f"small{end}").read_bytes()
        (export / f"model{end}").write_bytes(content)
    write_people(tmp_path / "people", people_images(12, 3))
    a, b = people_images(12, 3)[0, :2]
    for name, picture in (("a.png", a), ("b.png", b)):
        (tmp_path / name).write_bytes(images.encode(picture, 101))
    scene = np.full((300, 400, 3), 128, np.uint8)
    scene[40:152, 60:172], scene[160:272, 240:352] = a, b
    (tmp_path / "group.jpg").write_bytes(images.encode(scene, 95))
    return tmp_path


def test_commands_and_python_of_two_pictures(pictures, capsys):
    calibrate, compare = [words for words in commands(PAGE) if "runs/mine/export/model" in words]
    names = {}
    exec(example("two-pictures"), names)
    assert names["answer"].same is None  # not calibrated yet
    assert "has no calibration" in capsys.readouterr().out
    for words in (calibrate, compare):
        assert main(words) == 0
    printed = capsys.readouterr().out
    assert "same person        " in printed
    exec(example("two-pictures"), names)
    assert names["answer"].same in (True, False)
    assert capsys.readouterr().out.strip() in printed


def marked(monkeypatch):
    """Let the detector find the two faces of group.jpg."""
    from gluonface.recognition import faces

    detector = Marked((60, 40, 112), (240, 160, 112))
    monkeypatch.setattr(faces, "open_detector", lambda *_: detector)


def test_photograph(pictures, monkeypatch):
    marked(monkeypatch)
    names = {}
    exec(example("photograph"), names)
    assert len(names["reader"].read("group.jpg")) == 2


@pytest.fixture
def server(pictures, monkeypatch):
    import http.server

    marked(monkeypatch)
    names = {"__name__": "example"}
    exec(example("server"), names)
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), names["Faces"])
    monkeypatch.setattr(names["Faces"], "log_message", lambda *_: None)
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield running.server_address[1]
    running.shutdown()
    running.server_close()


def ask(port, body=b"", method="POST", path="/", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.putrequest(method, path, skip_host="Host" in headers)
    sent = {"Content-Type": "image/jpeg", "Content-Length": str(len(body)), **headers}
    for name, value in sent.items():
        if value is not None:
            connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    connection.send(body)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, content


def test_the_server_answers_pictures(pictures, server):
    data = (pictures / "group.jpg").read_bytes()
    status, content = ask(server, data, path="/../../etc/passwd")
    assert status == 200
    faces = json.loads(content)
    assert len(faces) == 2
    reader = FaceReader("runs/mine/export/model", Marked((60, 40, 112), (240, 160, 112)))
    expected = reader.read(data)[0].embedding
    np.testing.assert_allclose(faces[0]["embedding"], expected, atol=1e-6)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(ask(server, data)[0])) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [200] * 4


def test_the_server_refuses_all_else(pictures, server):
    data = (pictures / "group.jpg").read_bytes()
    assert ask(server, data, Host="example.com:80")[0] == 403
    assert ask(server, data, Host="127.0.0.1.example.com:80")[0] == 403
    assert ask(server, b"{}", **{"Content-Type": "application/json"})[0] == 415
    assert ask(server, **{"Content-Length": "10000001"})[0] == 413
    assert ask(server, **{"Content-Length": "-1"})[0] == 413
    assert ask(server, **{"Content-Length": None})[0] == 413
    assert ask(server, b"")[0] == 413
    assert ask(server, b"not a picture")[0] == 400
    assert ask(server, data[: len(data) // 2])[0] == 400
    assert ask(server, method="GET")[0] == 501
    assert ask(server, data)[0] == 200  # and it lives


def test_the_people_of_the_table_are_those_of_the_rules():
    rows = re.findall(r"^   \* - ([\d.]+)\n     - (\d+)\n     - (\d+)$", PAGE.read_text(), re.M)
    assert len(rows) == 4
    for rate, three, thirty in rows:
        assert people_needed(float(rate)) == int(three)
        assert people_needed(float(rate), 30) == int(thirty)

import threading

import pytest

from gluonface import native
from gluonface.nn import is_export, prelu_form, without_onednn
from gluonface.nn.backend import current_form


def test_within_a_block_and_back_again():
    with prelu_form("elementwise"):
        with prelu_form("plain"):
            assert current_form("fast") == "plain"
            assert is_export()
        assert current_form("fast") == "elementwise"
    assert current_form("fast") == "fast"
    assert not is_export()


def test_after_an_error():
    with pytest.raises(KeyError), prelu_form("plain"):
        raise KeyError
    assert current_form("fast") == "fast"


def test_every_thread_has_its_own():
    seen = []
    with prelu_form("plain"):
        thread = threading.Thread(target=lambda: seen.append(current_form("fast")))
        thread.start()
        thread.join()
    assert seen == ["fast"]


def test_two_settings_do_not_disturb_each_other():
    with prelu_form("fast"), without_onednn():
        assert current_form("plain") == "elementwise"
    assert current_form("plain") == "plain"
    with native.allowed(), native.without():
        assert native.operators(None) is None

import threading

import pytest

from gluonface.scoped import Scoped


def test_within_a_block_and_back_again():
    setting = Scoped(form=None)
    with setting.within("form", "one"):
        with setting.within("form", "two"):
            assert setting.form == "two"
        assert setting.form == "one"
    assert setting.form is None


def test_after_an_error():
    setting = Scoped(form=None)
    with pytest.raises(KeyError), setting.within("form", "one"):
        raise KeyError
    assert setting.form is None


def test_every_thread_has_its_own():
    setting, seen = Scoped(form=None), []
    with setting.within("form", "one"):
        thread = threading.Thread(target=lambda: seen.append(setting.form))
        thread.start()
        thread.join()
    assert seen == [None]

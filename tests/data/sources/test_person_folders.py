"""Which folder of a path is the person."""

import pytest

from gluonface.data.sources.person_folders import count_readings, person_folders
from gluonface.errors import InputError

GROUPS = ["African/ann/1.jpg", "African/bo/1.jpg", "Asian/cy/1.jpg"]
SESSIONS = ["ann/s1/1.jpg", "ann/s2/1.jpg", "bo/s1/1.jpg"]
MIXED = ["ann/1.jpg", "bo/x/1.jpg", "bo/y/1.jpg"]


def people(names, person=None):
    labels, keys, groups = person_folders(names, person, "faces")
    return [keys[label] for label in labels], groups


@pytest.mark.parametrize(
    ("names", "person", "keys", "groups"),
    [
        (["b/1.jpg", "a/1.jpg"], None, ["b", "a"], None),
        (["b/1.jpg", "a/1.jpg"], "last", ["b", "a"], None),
        (GROUPS, "last", [n.rpartition("/")[0] for n in GROUPS], ["African", "African", "Asian"]),
        (GROUPS, "first", ["African", "African", "Asian"], None),
        (SESSIONS, "first", ["ann", "ann", "bo"], None),
        (SESSIONS, 1, ["ann", "ann", "bo"], None),
        (SESSIONS, 2, ["ann/s1", "ann/s2", "bo/s1"], ["ann", "ann", "bo"]),
        (MIXED, "last", ["ann", "bo/x", "bo/y"], [None, "bo", "bo"]),
        (["a/b/c/1.jpg", "a/b/d/1.jpg"], 2, ["a/b", "a/b"], ["a", "a"]),
        (["ann/x/1.jpg", "bo/y/1.jpg"], None, ["ann", "bo"], None),  # both readings are the same
    ],
)
def test_readings(names, person, keys, groups):
    assert people(names, person) == (keys, groups)


@pytest.mark.parametrize(
    ("names", "first", "last"), [(GROUPS, 2, 3), (SESSIONS, 2, 3), (MIXED, 2, 3)]
)
def test_two_readings_are_never_silent(names, first, last):
    assert count_readings(names) == (first, last)
    with pytest.raises(
        InputError,
        match=rf"first folder there are {first} identities .* last folder {last} .*--person first",
    ) as raised:
        people(names)
    assert ("such as s1, occur" in str(raised.value)) == (names is SESSIONS)


def test_equal_names_are_reported(caplog):
    keys, _ = people(["part_a/2/1.jpg", "part_b/2/1.jpg"], "last")
    assert keys == ["part_a/2", "part_b/2"]
    assert "1 names of people, such as 2, occur below several folders" in caplog.text


def test_an_image_in_no_folder():
    with pytest.raises(InputError, match=r"faces: a\.jpg is in no person's folder"):
        people(["a.jpg", "b/1.jpg"])


def test_two_spellings_of_one_name_are_pointed_out(caplog):
    """ "Zoë" with one character for the e, and with two: macOS writes the second."""
    names = ["Zo\u00eb/1.jpg", "Zoe\u0308/2.jpg", "Ann/1.jpg"]
    found = person_folders(names, None, "people")
    assert len(found.keys) == 3
    assert "people: Zo" in caplog.text
    assert "two spellings that look the same" in caplog.text
    caplog.clear()
    person_folders(["Zo\u00eb/1.jpg", "Ann/2.jpg"], None, "people")
    assert not caplog.text

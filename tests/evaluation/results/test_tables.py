from gluonface.evaluation.results.tables import align_columns, rate_text


def test_rates_are_written_as_people_write_them():
    rates = [1e-6, 9.94e-5, 0.000997, 0.001, 0.0123456, 0.1, 1, 0]
    written = ["1e-6", "9.94e-5", "9.97e-4", "0.001", "0.0123", "0.1", "1", "0"]
    assert [rate_text(rate) for rate in rates] == written


def test_words_stand_left_and_numbers_right():
    assert align_columns([["set", "pairs"], ["a", "9"]]) == "set  pairs\na        9"

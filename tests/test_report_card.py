from __future__ import annotations

from making import make_card

from eyevsai_core.report_card import calibration_text, card_facts, percent, plain, split_count


def test_the_card_in_words() -> None:
    card = make_card(
        config={"seed": 0, "c": None, "flip": True, "gamma": 0.123456, "kernel": "rbf"}
    )
    facts = dict(card_facts(card))
    assert facts["model"] == "test/colours: mean colours"
    assert facts["learned from"] == "paint: 6 train, 3 calibration, 3 test"
    assert facts["licence of the data"] == "CC0"
    assert facts["options"] == "seed = 0, c = none, flip = yes, gamma = 0.1235, kernel = rbf"
    assert "3 pictures and 11 odd files" in facts["proven equal"]
    assert "at most 1.0e-07 (allowed 1e-04), same answer on 100.00" in facts["proven equal"]
    assert (
        facts["made on"] == "2026-01-01T00:00:00+00:00, Python 3.11, Linux x86_64, 2 threads, 1.0 s"
    )


def test_unreadable_pictures_and_the_source_are_stated() -> None:
    data = {"name": "x", "attribution": "by me", "source": "https://x.example", "unreadable": 2}
    facts = dict(card_facts(make_card(dataset=data)))
    assert facts["learned from"].endswith("; 2 unreadable, left out")
    assert facts["licence of the data"] == "not stated — by me — https://x.example"


def test_what_a_card_does_not_state_is_left_out() -> None:
    card = make_card(dataset={}, parity={}, machine={}, versions={}, config={})
    facts = dict(card_facts(card))
    assert not facts.keys() & {"proven equal", "made with", "options", "limits"}
    assert split_count(card, "validation") == 0


def test_tables_of_another_shape_do_no_harm() -> None:
    card = make_card(dataset={"counts": [1]}, parity={"pictures": 3}, calibration={})
    assert split_count(card, "train") == 0
    assert "proven equal" not in dict(card_facts(card))
    assert "not stated" in calibration_text(card)


def test_calibration_in_words() -> None:
    assert "not calibrated" in calibration_text(make_card())
    temperature = {"method": "temperature", "parameters": {"temperature": 1.23456}}
    said = calibration_text(make_card(calibration=temperature))
    assert said == "Calibrated by temperature (T = 1.235), on 3 pictures kept for nothing else."
    isotonic = make_card(calibration={"method": "isotonic", "parameters": None})
    assert calibration_text(isotonic).startswith("Calibrated by isotonic, on 3")


def test_numbers_as_people_read_them() -> None:
    assert percent(0.73333) == "73.3\N{NO-BREAK SPACE}%"
    assert percent(1, 0) == "100\N{NO-BREAK SPACE}%"
    assert [plain(v) for v in (True, False, None, 0.00012345, 3, "rbf")] == [
        "yes",
        "no",
        "none",
        "0.0001234",
        "3",
        "rbf",
    ]

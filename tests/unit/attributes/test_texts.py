"""Numbers of texts keep their order and stay; labels count up as values appear."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vdb.attributes import texts
from vdb.attributes.keys import KEY_MAX
from vdb.attributes.texts import Exhausted, Labels, Numbers

TEXT = st.text(st.sampled_from("ab\u00e9\ud7ff\ue000\U0010ffff"), max_size=4)


@given(st.lists(st.lists(TEXT, max_size=8), max_size=8), TEXT)
def test_numbers_are_in_the_order_of_the_texts_and_stay(batches: list[list[str]], probe: str) -> None:
    numbers = Numbers()
    seen: dict[str, int] = {}
    for batch in batches:
        numbers.add(batch)
        assert {text: numbers.of[text] for text in seen} == seen
        seen = dict(numbers.of)
    in_order = sorted(seen)
    assert in_order == sorted(seen, key=lambda text: text.encode())
    keys = [seen[text] for text in in_order]
    assert keys == sorted(set(keys))
    below, above = numbers.position(probe)
    assert [text for text in in_order if seen[text] <= below] == [text for text in in_order if text < probe]
    assert [text for text in in_order if seen[text] >= above] == [text for text in in_order if text > probe]
    low, high = numbers.starting_with(probe)
    assert [t for t in in_order if low <= seen[t] <= high] == [t for t in in_order if t.startswith(probe)]
    assert [numbers.text(key) for key in keys] == in_order
    assert numbers.text(KEY_MAX) is None


def test_texts_that_come_in_order_find_room_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = Numbers()
    numbers.add(["m"])
    for number in range(2000):
        numbers.add([f"z{number:05}", f"a{2000 - number:05}"])
    assert sorted(numbers.of) == sorted(numbers.of, key=numbers.of.__getitem__)
    assert abs(max(numbers.of.values())) < 2**62


def test_where_no_room_is_left_nothing_changes() -> None:
    numbers = Numbers()
    numbers.add(["a", "b"])
    last = "b"

    def crowd() -> None:
        nonlocal last
        for _ in range(100):
            last = "a" + last
            numbers.add([last])

    with pytest.raises(Exhausted):
        crowd()
    before = dict(numbers.of)
    with pytest.raises(Exhausted):
        numbers.add([last, "a" + last])
    assert numbers.of == before


def test_blocks_of_any_size_give_the_same_numbers_and_only_those_that_change_are_copied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, other = Numbers(), Numbers()
    batches = [[f"{i:04}" for i in range(0, 900, 3)], [f"{i:04}x" for i in range(0, 900, 2)], ["0450y"], ["", "~"]]
    for batch in batches:
        one.add(batch)
    monkeypatch.setattr(texts, "_BLOCK", 8)
    for batch in batches[:2]:
        other.add(batch)
    before = other._ordered.blocks
    assert len(before) > 40
    for batch in batches[2:]:
        other.add(batch)
    assert one.of == other.of
    assert sum(block not in before for block in other._ordered.blocks) <= 3
    for text, number in one.of.items():
        assert other.text(number) == text
    assert other.text(one.of["0450"] + 1) is None


def test_labels_count_up_in_the_order_of_appearance() -> None:
    labels = Labels()
    assert labels.add(["b", "a", "b", "c"]).tolist() == [0, 1, 0, 2]
    assert labels.add(["a", "d"]).tolist() == [1, 3]
    assert (len(labels), labels.get("c"), labels.get("e")) == (4, 2, None)
    assert [labels.value(number) for number in (-1, 0, 3, 4)] == [None, "b", "d", None]
    numbered = Labels()
    assert numbered.add_keys(np.array([7, -1, 7, 0], np.int64)).tolist() == [0, 1, 0, 2]
    assert numbered.add_keys(np.array([0, 9], np.int64)).tolist() == [2, 3]
    assert numbered.value(3) == 9

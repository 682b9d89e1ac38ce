"""The bytes of static embeddings, by hand."""

import pytest
from static_bytes import StaticTable


@pytest.mark.parametrize(("table", "width", "size"), [
    (StaticTable(tokens=1000, clusters=0, number_bytes=1, classes=10), 8, 8_000 + 160 + 20),
    (StaticTable(tokens=1000, clusters=0, number_bytes=2, classes=10), 8, 16_000 + 160 + 20),
    (StaticTable(tokens=1000, clusters=100, number_bytes=1, classes=10), 8, 800 + 2_000 + 160 + 20),  # a weight a token
])
def test_size_then_counts_table_head_and_weights(table: StaticTable, width: int, size: int) -> None:
    assert table.size_bytes(width) == size
    assert table.widest(size) == width
    assert table.widest(size - 1) == width - 1


def test_widest_when_the_weights_alone_are_too_large_then_nothing_fits() -> None:
    assert StaticTable(tokens=1000, clusters=100, number_bytes=1, classes=10).widest(1_500) <= 0

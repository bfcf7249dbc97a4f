"""Which candidates decide on one another."""

from hardnet_mm.export.candidates import (
    suppressed_by_neighbours,
)


def test_peaks_are_decided_by_their_neighbours():
    rivals, _ = suppressed_by_neighbours(3, 4, 3)(5)
    assert rivals.view(3, 4).int().tolist() == [[1, 1, 1, 0]] * 3

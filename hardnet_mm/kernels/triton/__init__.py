"""Fast convolutions on a GPU."""

"""How convolutions and blocks are computed fast: one folder a kind of device."""

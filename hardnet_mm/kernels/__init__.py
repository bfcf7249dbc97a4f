"""Fast implementations of convolutions and blocks, with a folder for each kind of device."""

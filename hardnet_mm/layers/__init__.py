"""What convolutions and activations are computed with: faster, and in less memory."""

"""What training and inference compute faster with on a CPU."""

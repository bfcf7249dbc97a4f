"""A project that finds contours. Its own train script imports what it registers, no config does."""

"""A project that is watched: as lines for a log or a program, and as a screen."""

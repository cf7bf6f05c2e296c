"""Crash at every point, kill at random, break every part; what held is told in docs/reliability.md."""

"""The 9 AM stampede, side by side: jitprov beside what people write instead. `python -m benchmarks --help`."""

"""`python -m jitprov` is `jitprov`."""

from jitprov.cli import main

main()

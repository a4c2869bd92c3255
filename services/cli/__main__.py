"""`python -m services.cli` is `linli`."""

from services.cli import main

main()

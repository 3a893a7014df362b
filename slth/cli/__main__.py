"""`python -m slth.cli` is `slth`."""

from slth.cli import main

if __name__ == "__main__":
    main()

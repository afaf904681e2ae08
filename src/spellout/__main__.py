"""`python -m spellout` is the command `spellout`."""

from .app.cli import main

if __name__ == "__main__":
    main()

"""`python -m deflicker` is the command `deflicker`."""

from deflicker.cli.main import main

if __name__ == "__main__":
    main()

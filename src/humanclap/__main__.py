"""`python -m humanclap`."""

from humanclap.cli.main import main

if __name__ == "__main__":
    main()

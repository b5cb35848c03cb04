"""`python -m autosync_db`: the same command line as `autosync-db`."""

from autosync_db.cli import main

if __name__ == "__main__":
    main()

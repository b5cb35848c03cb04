"""Let coverage lead a fuzz test that needs no server: `make fuzz-coverage TEST=keys.a_key_is_judged_and_never_shown`.

It needs atheris, which is in no lock: `.venv/bin/pip install atheris`. It runs until it is stopped, or as long as
`-max_total_time=60` says, and ends with the input that failed.
"""

import importlib
import sys

TEST, *OPTIONS = sys.argv[1:] or ["keys.a_key_is_judged_and_never_shown"]


def main() -> None:
    """Run the test on inputs that reach new code."""
    try:
        import atheris
    except ImportError:
        sys.exit("error: atheris is missing\nhint: .venv/bin/pip install atheris")
    module, name = TEST.split(".")
    with atheris.instrument_imports(include=["autosync_db"]):
        test = getattr(importlib.import_module(f"tests.fuzz.test_{module}"), f"test_{name}")
    atheris.Setup([sys.argv[0], *OPTIONS], test.hypothesis.fuzz_one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

"""`python -m cli`: the command `facet`, where no folder of PATH holds it."""

from cli.app import app

if __name__ == "__main__":
    app(prog_name="facet")

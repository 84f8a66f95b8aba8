"""Maker of the documentation's site: `make docs` builds it from the pages in `docs/`."""

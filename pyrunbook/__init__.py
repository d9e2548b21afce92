"""Operations runbooks that run: see README.md for the product, CONTRIBUTING.md for the house."""

__version__ = "0.1.0"

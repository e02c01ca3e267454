"""The one error that the commands show to a person."""


class Unusable(Exception):
    """The stack cannot be brought up or used. The text says why and, where it can, what to do."""

"""The one base of every error that a person can do something about."""


class GatescopeError(ValueError):
    """What was given cannot be used; the message is for a person and says what to do.

    Every error of the package derives from it, so that the command line and the explorer can tell a wrong input,
    which gets one sentence, from a fault of the program, which gets a report.
    """

"""The error that is the user's to fix, as opposed to a defect of ours."""


class UserError(ValueError):
    """Bad input: a wrong key, a missing file, a malformed line.

    The message is one line that names the file, line, key or parameter at fault and says what to do. Command
    lines print it without a traceback and exit with status 2.
    """

"""The error that is the user's to fix, as opposed to a defect of ours."""

from __future__ import annotations


class UserError(ValueError):
    """Bad input: a wrong key, a missing file, a malformed line.

    The message is one line that names the file, line, key or parameter at fault and says what to do. Command
    lines print it without a traceback and exit with status 2.
    """


class ParameterError(UserError):
    """A parameter, or a key of the configuration, has a value that it may not have."""

    def __init__(self, name: str, value: object, reason: str):
        """`reason` says what is wrong; where it tells to "set KEY=VALUE", the command line names that flag, too."""
        super().__init__(f"{name}={value}: {reason}")
        self.name, self.value, self.reason = name, value, reason

    def __reduce__(self) -> tuple[type[ParameterError], tuple[str, object, str]]:
        return type(self), (self.name, self.value, self.reason)

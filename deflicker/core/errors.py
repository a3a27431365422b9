"""Everything that can go wrong for a user, each with its exit code.

The message says what is wrong and what to do about it, in one line. Programmer errors stay `ValueError`.
"""


class DeflickerError(Exception):
    """Processing failed. Base of every error a user can cause or meet."""

    exit_code = 1


class SettingsError(DeflickerError):
    """An option has a value that cannot be used."""

    exit_code = 2


class InputError(DeflickerError):
    """The input cannot be read, or holds nothing this tool can process."""

    exit_code = 3


class OutputError(DeflickerError):
    """The output already exists or cannot be written."""

    exit_code = 4


class ReaderGone(OutputError):
    """The program that read the output through a pipe has ended."""

    exit_code = 141  # 128 + SIGPIPE, as shells know it


class WeightsError(DeflickerError):
    """A network's weights are neither in the cache nor available."""

    exit_code = 5


class DeviceError(DeflickerError):
    """The device asked for is not there or has too little memory."""


class Cancelled(DeflickerError):
    """The caller asked to stop."""

    exit_code = 130

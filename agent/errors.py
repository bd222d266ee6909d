"""Errors of the configuration. An error that is meant for people carries the process's `exit_code`.

    ConfigError                          2   a setting, a flag, a file of settings
    agent.weights.EncoderError           2   the network that was asked for cannot be had
    agent.device.DeviceError             2   the device that was asked for is not there
    agent.compiled.CompilerError         2   torch.compile was asked for, and has no compiler
    storage.errors.StorageError          3   the memory cannot be read or written
    agent.checkpoint.CheckpointError     3   a checkpoint is missing or torn
    agent.sources.protocol.SourceError   4   a watched folder cannot be used

Their message is one line that names the thing and the remedy; anything else is an internal error, exit code 1.
"""

from __future__ import annotations


class ConfigError(Exception):
    """A setting is unknown, of the wrong type or out of bounds."""

    exit_code = 2

"""The key of a user's journals: what it has sealed, a run of the same user wrote; it never lies among pictures."""

from __future__ import annotations

import os
import secrets
import stat

import platformdirs
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.chassis.errors import InvalidRequest
from services.chassis.process.file_locks import lock
from services.chassis.process.settings import load_settings

KEY_BYTES = 32
_HINT = "set FACET_JOURNAL_KEY (openssl rand -hex 32), the same for every worker"


class JournalSettings(BaseSettings):
    """How runs recognise what earlier runs noted."""

    model_config = SettingsConfigDict(env_prefix="FACET_JOURNAL_")

    key: SecretStr | None = Field(None, min_length=KEY_BYTES)
    """For workers on several machines that go on with each other's work; default: a file of this user's."""


def journal_key() -> bytes:
    """FACET_JOURNAL_KEY, or this user's own key, made when first needed.

    Raises:
        InvalidRequest: There is none and none can be kept, or others might have read it.
    """
    if given := load_settings(JournalSettings).key:
        return given.get_secret_value().encode()
    folder = platformdirs.user_state_path("facet")
    path = folder / "journal.key"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise InvalidRequest(f"{path} cannot keep the key of your journals: {error.strerror}; {_HINT}") from error
    with os.fdopen(descriptor, "r+b") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise InvalidRequest(f"{path} must be your own file and readable by you alone: chmod 600, or delete it")
        lock(descriptor, wait=True)  # two workers that start together must end up with one key
        key = file.read(KEY_BYTES)
        if len(key) < KEY_BYTES:  # new, or cut off by a crash
            key = secrets.token_bytes(KEY_BYTES)
            file.seek(0)
            file.write(key)
            file.flush()
            os.fsync(descriptor)
    return key

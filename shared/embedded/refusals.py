"""Why the database cannot be had, each in one sentence."""


class Refused(Exception):
    """The database cannot be had, and why."""

    def __init__(self, **facts: object) -> None:
        """Fill the sentence, which is the docstring of the class."""
        super().__init__(" ".join((self.__doc__ or type(self).__name__).split()).format(**facts))


class NoPrograms(Refused):
    """There are no PostgreSQL programs for this machine ({machine}): set DATABASE_URL to a PostgreSQL 18 server."""


class NoAccount(Refused):
    """PostgreSQL needs an unprivileged account in passwd ({account}): add it, or set DATABASE_URL."""


class DataDirNotWritable(Refused):
    """Cannot write to {path} ({reason}): choose another data directory, or give it to this user."""


class DataDirNotReachable(Refused):
    """The user {account} who runs PostgreSQL cannot pass through {path}: choose a data directory outside it."""


class SocketDirNotOurs(Refused):
    """The folder for the database's socket, {path}, belongs to another user or is no folder: remove it."""


class DatabaseDidNotStart(Refused):
    """PostgreSQL did not start on {path} ({reason}): put that right and try again."""


class DatabaseDidNotStop(Refused):
    """PostgreSQL on {path} did not stop: end its process {pid} and try again."""


class AlreadyServed(Refused):
    """Another process already serves {path}: stop it first, or choose another data directory."""

"""Tasks as task.json keeps them, and tasks whose data stand in files.

A `SavedTask` is written as a JSON object and rebuilt from it; a damaged object is refused with one sentence. A
`FileTask` also has data in files: task.json holds their paths and a SHA-256, and the files are read again when needed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, Self, TypeVar

from gatescope.errors import GatescopeError
from gatescope.messages import Message
from gatescope.tasks.base.task import TaskError

PATH_FIELDS = ("paths", "path", "sources")
"""The fields of task.json that name files."""

Contents = TypeVar("Contents")
Data = TypeVar("Data")


class SavedTask(ABC):
    """A task that task.json can hold."""

    name: ClassVar[str]
    title: ClassVar[str]
    question: ClassVar[str]

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object (task.json) that `from_json` rebuilds the task from."""
        return {"name": self.name, "title": self.title, "question": self.question, **self._to_fields()}

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Return the task that `to_json` wrote.

        Raises:
            TaskError: `data` describes another task, or is damaged.
        """
        if not isinstance(data, dict) or data.get("name") != cls.name:
            other = data.get("name") if isinstance(data, dict) else data
            raise TaskError("TASK_JSON_OTHER_TASK", name=cls.name, other=f"{other!r:.80}")
        try:
            return cls._from_fields(data)
        except GatescopeError as error:
            raise TaskError("TASK_JSON_DAMAGED", name=cls.name, reason=error.message) from error
        except KeyError as error:
            raise TaskError("TASK_JSON_KEY_MISSING", name=cls.name, key=error.args[0]) from error
        except (TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
            reason = Message("TASK_JSON_VALUE_WRONG", error=error)
            raise TaskError("TASK_JSON_DAMAGED", name=cls.name, reason=reason) from error

    @abstractmethod
    def _to_fields(self) -> dict[str, Any]:
        """Return what task.json holds besides name, title and question."""

    @classmethod
    @abstractmethod
    def _from_fields(cls, fields: dict[str, Any]) -> Self:
        """Return the task of a JSON object. A damaged object may raise any exception."""


class FileTask(SavedTask, Generic[Contents, Data]):
    """A task whose data stand in files.

    `Contents` is what the files hold; `Data` is what the task makes of it.

    Attributes:
        sha256: SHA-256 of the contents when the task was created.
    """

    sha256: str
    _data: Data | None
    _notes: list[str]

    @property
    def notes(self) -> list[str]:
        """Sentences to read before training starts, such as lines that were left out."""
        return list(self._notes)

    def data(self) -> Data:
        """Return the data. A task that was rebuilt from its JSON reads the files first.

        Raises:
            TaskError: the files cannot be read, or have changed since the task was created.
        """
        if self._data is None:
            try:
                contents, sha256 = self._read_files()
            except TaskError as error:
                raise TaskError("TASK_FILES_UNREADABLE", reason=error.message) from error
            if sha256 != self.sha256:
                raise TaskError(
                    "TASK_FILES_CHANGED",
                    files=self._title_of_files(),
                    expected=self._amount(None),
                    actual=self._amount(contents),
                )
            self._data = self._prepare(contents)
        return self._data

    @classmethod
    def _from_fields(cls, fields: dict[str, Any]) -> Self:
        task = cls.__new__(cls)
        task._data = None
        task._restore(fields)
        return task

    @abstractmethod
    def _restore(self, fields: dict[str, Any]) -> None:
        """Set the attributes from the JSON object. The files are not opened before they are needed."""

    @abstractmethod
    def _read_files(self) -> tuple[Contents, str]:
        """Return the contents of the files and their SHA-256.

        Raises:
            TaskError: a file cannot be used.
        """

    @abstractmethod
    def _prepare(self, contents: Contents) -> Data:
        """Return the data, as training and scores need them."""

    @abstractmethod
    def _title_of_files(self) -> str | Message:
        """Return what an error calls the files."""

    @abstractmethod
    def _amount(self, contents: Contents | None) -> Message:
        """Return how much the contents hold; None: those that the task was created with."""


def string(value: object) -> str:
    """Return a string of task.json.

    Raises:
        TaskError: the value is something else.
    """
    if not isinstance(value, str):
        raise TaskError("TASK_JSON_STRING_EXPECTED", value=f"{value!r:.80}")
    return value


def strings(values: object) -> list[str]:
    """Return a list of strings of task.json.

    Raises:
        TaskError: the value is something else.
    """
    if not isinstance(values, list):
        raise TaskError("TASK_JSON_LIST_EXPECTED", value=f"{values!r:.80}")
    return [string(value) for value in values]


def whole_number(fields: dict[str, Any], key: str) -> int:
    """Return a whole number of task.json.

    Raises:
        TaskError: the value is something else.
    """
    value = fields[key]
    if type(value) is not int:
        raise TaskError("TASK_JSON_WHOLE_NUMBER_EXPECTED", key=key, value=f"{value!r:.80}")
    return value


def column(value: object) -> str | int:
    """Return a column of task.json: a name, or a number from 1.

    Raises:
        TaskError: the value is something else.
    """
    return value if type(value) is int else string(value)

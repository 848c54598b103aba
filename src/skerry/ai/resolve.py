"""Step: which catalog entry answers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase

from skerry.ai.ai import Step
from skerry.ai.flight import Flight, Next, Reply
from skerry.catalog.catalog import Catalog
from skerry.catalog.entry import Entry
from skerry.errors import LicenceNotAccepted, ModelDeprecated, NoSuchModel
from skerry.settings import Settings
from skerry.tasks.base import Task

log = logging.getLogger("skerry.ai")


class Resolve(Step):
    """Finds the entry; refuses retired models and licences not accepted; picks a stand-in.

    A stand-in answers only where the setting is on and the model itself is not in the store: the
    real weights always win. It is told in the answer (x-skerry-standin) and once in the log.
    """

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        tasks: Mapping[str, Task],
        in_store: Callable[[Entry], bool],
    ) -> None:
        self._settings = settings
        self._catalog = catalog
        self._tasks = tasks
        self._in_store = in_store
        self._told: set[tuple[str, str]] = set()

    async def __call__(self, flight: Flight, proceed: Next) -> Reply:
        flight.entry, flight.standin_for = self.resolve(flight.request.model)
        return await proceed(flight)

    def resolve(self, name: str) -> tuple[Entry, str | None]:
        """The entry that answers for `name`, and `name` itself where it is a stand-in."""
        entry = self._catalog.get(name)
        self._check_retired(entry)
        if self._settings.standins and not self._in_store(entry):
            standin = self._standin(entry)
            if standin is not None:
                self._tell(name, standin)
                return standin, name
        self._check_licence(entry)
        if entry.task not in self._tasks:
            raise NoSuchModel(
                f"No such model or task: {name} is for the task {entry.task},"
                " which no installed package serves (Model not found)"
            )
        return entry, None

    def _check_retired(self, entry: Entry) -> None:
        retired = entry.deprecation
        if retired is None:
            return
        way_out = f" Use {retired.successor} instead." if retired.successor else ""
        raise ModelDeprecated(f"Model {entry.name} was deprecated on {retired.date}.{way_out}")

    def _check_licence(self, entry: Entry) -> None:
        accepted = self._settings.accept_licences
        if entry.accept_licence and not any(fnmatchcase(entry.name, each) for each in accepted):
            where = f" ({entry.licence_url})" if entry.licence_url else ""
            raise LicenceNotAccepted(
                f"{entry.name} has a licence that you must accept first: {entry.licence}{where}."
                f' Then set accept_licences = ["{entry.name}"] in skerry.toml'
                f" or SKERRY_ACCEPT_LICENCES={entry.name}"
            )

    def _standin(self, entry: Entry) -> Entry | None:
        """The best stand-in: one in the store before one that is not, exact name before task.

        Of those in the store the larger, better one; of those to be pulled the smaller.
        """

        def rank(candidate: Entry) -> tuple[bool, bool, bool]:
            here, large = self._in_store(candidate), candidate.size == "optional"
            return here, entry.name in candidate.standin_for, large == here

        fitting = [
            candidate
            for candidate in self._catalog.entries()
            if candidate.name != entry.name
            and candidate.task == entry.task
            and (
                entry.name in candidate.standin_for or f"task:{entry.task}" in candidate.standin_for
            )
        ]
        return max(fitting, key=rank, default=None)

    def _tell(self, name: str, standin: Entry) -> None:
        if (name, standin.name) not in self._told:
            self._told.add((name, standin.name))
            log.warning("%s stands in for %s, which is not in the store", standin.name, name)

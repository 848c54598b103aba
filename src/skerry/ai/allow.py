"""Step: may this account run this model on this node?"""

from __future__ import annotations

from fnmatch import fnmatchcase

from skerry.ai.ai import Step
from skerry.ai.flight import Flight, Next, Reply
from skerry.errors import AccountBlocked, AccountNotAllowed, ModelNotAllowed
from skerry.settings import Settings


def _any(patterns: list[str], name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


class Allow(Step):
    """Settings block_accounts, allow_models, deny_models and account_models."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def __call__(self, flight: Flight, proceed: Next) -> Reply:
        account, model, rules = flight.request.account, flight.request.model, self._settings
        if account in rules.block_accounts:
            raise AccountBlocked(
                f"Account {account} is blocked on this node (setting block_accounts)"
            )
        if rules.allow_models and not _any(rules.allow_models, model):
            raise ModelNotAllowed(
                f"Model {model} is not allowed on this node: allow_models does not name it"
            )
        if _any(rules.deny_models, model):
            raise ModelNotAllowed(
                f"Model {model} is not allowed on this node: deny_models names it"
            )
        if account in rules.account_models and not _any(rules.account_models[account], model):
            raise AccountNotAllowed(
                f"Account {account} may not run {model}: account_models does not name it"
            )
        return await proceed(flight)

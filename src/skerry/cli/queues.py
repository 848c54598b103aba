"""skerry queues."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skerry.cli import options
from skerry.cli.output import out, print_json, size, table
from skerry.cli.stores import LOCAL, Account, with_stores
from skerry.errors import SettingsError

if TYPE_CHECKING:
    from skerry.storage.open import Stores
    from skerry.storage.queues.base import QueueMessage, QueueMetrics
    from skerry.storage.queues.registry import QueueInfo

Name = Annotated[str, typer.Argument(help="A queue's name.", metavar="QUEUE")]
Delay = Annotated[
    int, typer.Option(min=0, help="Seconds before a message that says nothing else is delivered.")
]
Retention = Annotated[
    int | None,
    typer.Option(
        help="Seconds that a message is kept; 4 days where not given.", show_default=False
    ),
]
Body = Annotated[
    str, typer.Argument(help="The message; - reads it from standard input.", metavar="BODY")
]
Kind = Annotated[str, typer.Option("--type", help="text, json or bytes.")]
SendDelay = Annotated[
    int | None, typer.Option(min=0, help="Seconds before delivery.", show_default=False)
]
Count = Annotated[int, typer.Option(min=1, max=100, help="At most so many messages.")]
Seconds = Annotated[
    int, typer.Option(min=1, max=43_200, help="Nobody else gets them for so many seconds.")
]
AckThem = Annotated[
    bool, typer.Option("--ack", help="Acknowledge them once they are printed: they are gone then.")
]


def create(
    queue: Name,
    *,
    delay: Delay = 0,
    retention: Retention = None,
    account: Account = LOCAL,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Create a queue. A worker's queue is also made by its first message.

    Example: `skerry queues create jobs --delay 5`
    """
    from skerry.storage.queues.base import RETENTION
    from skerry.storage.queues.registry import QueueSettings

    settings = QueueSettings(
        delivery_delay=delay, message_retention_period=RETENTION if retention is None else retention
    )
    made = with_stores(
        options.settings(config, data_dir),
        lambda stores: stores.queues(account).create(queue, settings),
    )
    if json:
        print_json(made)
    else:
        out().print(f"Created queue {made.name} ({made.id})", markup=False)


def list_queues(
    *,
    account: Account = LOCAL,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """List the queues and what waits in them.

    Example: `skerry queues list`
    """

    async def work(stores: Stores) -> list[tuple[QueueInfo, QueueMetrics]]:
        queues = stores.queues(account)
        return [(each, await queues.queue(each.name).metrics()) for each in await queues.list()]

    found = with_stores(options.settings(config, data_dir), work)
    if json:
        print_json([{"queue": info, "metrics": metrics} for info, metrics in found])
        return
    shown = table("queue", ">messages", ">size", "consumer")
    for info, metrics in found:
        consumer = ", ".join(each.script_name or each.type for each in info.consumers)
        shown.add_row(
            info.name, str(metrics.backlog_count), size(metrics.backlog_bytes), consumer or "-"
        )
    out().print(shown if found else "No queues yet. Make one: skerry queues create NAME")


def delete(
    queue: Name,
    *,
    account: Account = LOCAL,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Delete a queue and all its messages.

    Example: `skerry queues delete jobs`
    """
    with_stores(
        options.settings(config, data_dir), lambda stores: stores.queues(account).delete(queue)
    )
    if json:
        print_json({"deleted": queue})
    else:
        out().print(f"Deleted queue {queue}", markup=False)


def send(
    queue: Name,
    body: Body,
    *,
    kind: Kind = "text",
    delay: SendDelay = None,
    account: Account = LOCAL,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Send a message. A worker that consumes the queue gets it at once.

    Examples: `skerry queues send jobs hello`, `skerry queues send jobs '{"a": 1}' --type json`
    """
    import msgspec

    from skerry.storage.queues.base import Outgoing

    if kind not in ("text", "json", "bytes"):
        raise SettingsError(f"--type {kind}: not text, json or bytes")
    data = sys.stdin.buffer.read() if body == "-" else body.encode()
    try:
        if kind == "json":
            msgspec.json.decode(data)
        elif kind == "text":
            data.decode()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"the message is not {kind}: {error}") from error
    message = Outgoing(body=data, content_type=kind)

    async def work(stores: Stores) -> QueueMetrics:
        queues = stores.queues(account)
        return await queues.queue((await queues.get(queue)).name).send([message], delay=delay)

    metrics = with_stores(options.settings(config, data_dir), work)
    if json:
        print_json({"sent": len(data), "metrics": metrics})
    else:
        out().print(f"Sent. {metrics.backlog_count} messages wait in {queue}", markup=False)


def pull(
    queue: Name,
    *,
    count: Count = 5,
    seconds: Seconds = 30,
    ack: AckThem = False,
    account: Account = LOCAL,
    config: options.Config = None,
    data_dir: options.DataDir = None,
    json: options.Json = False,
) -> None:
    """Take messages and print them. Without --ack they come again after their seconds.

    Example: `skerry queues pull jobs --count 10 --ack`
    """
    from skerry.storage.queues.base import ConsumerSettings

    async def work(stores: Stores) -> None:
        queues = stores.queues(account)
        info = await queues.get(queue)
        settings = info.consumers[0].settings if info.consumers else ConsumerSettings()
        one = queues.queue(info.name)
        messages = await one.lease(settings, most=count, seconds=seconds)
        if json:
            print_json([_object(each) for each in messages])
        else:
            for each in messages:
                out().print(_line(each), markup=False, soft_wrap=True)
            if not messages:
                out().print("No message is ready.")
        if ack:
            await one.settle(settings, [each.lease_id for each in messages], [])

    with_stores(options.settings(config, data_dir), work)


def _text(message: QueueMessage) -> str | None:
    if message.content_type not in ("text", "json"):
        return None
    return message.body.decode("utf-8", "replace")


def _object(message: QueueMessage) -> dict[str, Any]:
    text = _text(message)
    body = {"body": text} if text is not None else {"base64": message.body}
    return {
        "id": message.id,
        "type": message.content_type,
        "timestamp_ms": message.timestamp_ms,
        "attempts": message.attempts,
        "lease_id": message.lease_id,
    } | body


def _line(message: QueueMessage) -> str:
    text = _text(message)
    return f"{message.content_type} of {len(message.body)} bytes" if text is None else text

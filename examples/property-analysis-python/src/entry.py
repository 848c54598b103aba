"""A listing and its photos in, what three models see in it out. All models work at once."""

import asyncio
import json
from typing import Any

from workers import File, Request, Response, WorkerEntrypoint

SENTIMENT = "@cf/huggingface/distilbert-sst-2-int8"
CHAT = "@cf/meta/llama-3.1-8b-instruct"
VISION = "@cf/microsoft/resnet-50"

MOST_PHOTOS = 8

FEATURES = {
    "type": "object",
    "properties": {
        "bedrooms": {"type": "integer", "minimum": 0, "maximum": 20},
        "amenities": {"type": "array", "items": {"type": "string", "maxLength": 40}, "maxItems": 6},
    },
    "required": ["bedrooms", "amenities"],
}
"""The chat model may answer with nothing but this."""


class Default(WorkerEntrypoint):
    async def fetch(self, request: Request) -> Response:
        if request.method != "POST":
            return problem(405, "POST a form with `description` and any number of `photo`s.")
        try:
            form = await request.formData()
        except Exception:
            return problem(400, "The body must be a form.")
        description = form.get("description")
        if not isinstance(description, str) or not description.strip():
            return problem(400, "The form needs a field `description`.")
        photos = form.getAll("photo")
        if len(photos) > MOST_PHOTOS:
            return problem(413, f"At most {MOST_PHOTOS} photos.")
        try:
            tone, features, *pictures = await asyncio.gather(
                self.tone_of(description),
                self.features_of(description),
                *(self.picture_of(photo) for photo in photos),
            )
        except Exception as error:
            print("analysis failed", error)
            return problem(502, str(error))
        return answer({"tone": tone, "features": features, "pictures": pictures})

    async def tone_of(self, text: str) -> float:
        """How much a reader will like the text: 0 to 1."""
        labels = await self.env.AI.run(SENTIMENT, {"text": text})
        scores: dict[str, float] = {each["label"]: each["score"] for each in labels}
        return round(scores["POSITIVE"], 3)

    async def features_of(self, text: str) -> Any:
        reply = await self.env.AI.run(
            CHAT,
            {
                "messages": [
                    {
                        "role": "system",
                        "content": "You read listings of holiday homes. Answer in JSON.",
                    },
                    {"role": "user", "content": f"How many bedrooms, which amenities?\n\n{text}"},
                ],
                "response_format": {"type": "json_schema", "json_schema": FEATURES},
                "max_tokens": 200,
                "temperature": 0,
            },
        )
        found = reply["response"]
        return json.loads(found) if isinstance(found, str) else found

    async def picture_of(self, photo: File) -> dict[str, Any]:
        labels = await self.env.AI.run(VISION, {"image": await photo.bytes()})
        return {
            "name": photo.name,
            "shows": [each["label"] for each in labels if each["score"] > 0.05],
        }


def problem(status: int, message: str) -> Response:
    return answer({"error": message}, status)


def answer(value: object, status: int = 200) -> Response:
    headers = {"content-type": "application/json"}
    return Response(json.dumps(value), status=status, headers=headers)

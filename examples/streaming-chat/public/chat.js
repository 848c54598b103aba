const list = document.querySelector("#messages");
const form = document.querySelector("#ask");
const field = document.querySelector("#text");
const button = form.querySelector("button");
const messages = [];

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const content = field.value.trim();
  if (!content || button.disabled) return;
  field.value = "";
  button.disabled = true;
  messages.push({ role: "user", content });
  show("user", content);
  const bubble = show("assistant", "");
  try {
    for await (const piece of answer(messages)) {
      bubble.textContent += piece;
      list.scrollTop = list.scrollHeight;
    }
    messages.push({ role: "assistant", content: bubble.textContent });
  } catch (error) {
    bubble.classList.add("failed");
    bubble.textContent += ` ${error.message}`;
    messages.pop();
  } finally {
    button.disabled = false;
    field.focus();
  }
});

function show(role, text) {
  const bubble = document.createElement("div");
  bubble.className = `message ${role}`;
  bubble.textContent = text;
  list.append(bubble);
  list.scrollTop = list.scrollHeight;
  return bubble;
}

/** The pieces of an answer, as the server sends them. */
async function* answer(messages) {
  const response = await fetch("/api/chat", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ messages }),
  });
  if (!response.ok) throw new Error(await response.text());
  let rest = "";
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (!line.startsWith("data: ") || line === "data: [DONE]") continue;
      const piece = JSON.parse(line.slice("data: ".length));
      if (piece.errors) throw new Error(piece.errors[0].message);
      yield piece.response ?? "";
    }
  }
}

// Answers in place of a worker that cannot be built: says why.
const escape = (text) => text.replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);

export default {
  fetch(request) {
    const html = (request.headers.get("accept") ?? "").includes("text/html");
    const body = html
      ? `<!doctype html><html lang="en"><meta charset="utf-8"><title>Build failed</title>` +
        `<meta http-equiv="refresh" content="2">` +
        `<body style="font-family:system-ui;max-width:60rem;margin:3rem auto;padding:0 1rem">` +
        `<h1>The worker cannot be built</h1><pre>${escape(SAID)}</pre>`
      : `The worker cannot be built\n${SAID}\n`;
    return new Response(body, {
      status: 500,
      headers: { "content-type": `text/${html ? "html" : "plain"}; charset=utf-8` },
    });
  },
};

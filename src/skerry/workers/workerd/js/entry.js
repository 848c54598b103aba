// The main module of every worker's process, around the user's own. It runs before the user's
// code, so that what it takes here is not to be had there.
import { env as bound } from "cloudflare:workers";

const { reserved, cf, timeout, testScheduled, verbose } = SETTINGS;

function take(name) {
  const service = bound[name];
  delete bound[name];
  return service && service.fetch.bind(service);
}
const node = take(SETTINGS.node);
const waits = take(SETTINGS.busy);
const files = take(SETTINGS.assets);
const complain = console.error.bind(console);
const stringify = JSON.stringify;
const later = setTimeout;
const unlater = clearTimeout;
const Answer = Response;
const now = Date.now.bind(Date);
const pattern = new RegExp(reserved);
const special = pattern.test.bind(pattern);

function fail(where, error, request) {
  const known = error instanceof Error;
  complain(
    "\u0001skerry:" +
      stringify({
        where,
        name: known ? String(error.name) : "",
        message: known ? String(error.message) : String(error),
        stack: known ? String(error.stack) : "",
        method: request?.method ?? "",
        url: request?.url ?? "",
      }),
  );
}

const encodings = (request) => request.headers.get("accept-encoding") ?? "";
const ownCf = Object.getOwnPropertyDescriptor(Request.prototype, "cf");
const givenCf = Function.prototype.call.bind(ownCf.get);
if (cf) {
  // Requests carry only the client's address: the place comes from the node.
  Object.defineProperty(Request.prototype, "cf", {
    ...ownCf,
    get() {
      const given = givenCf(this);
      if (!given || given.colo) return given;
      return { ...cf, clientAcceptEncoding: encodings(this), ...given };
    },
  });
}

// Requests from outside, and their headers with the ones that Cloudflare adds, once asked for.
const incoming = new WeakMap();
const note = incoming.set.bind(incoming);
const addressOf = (request) =>
  (givenCf(request)?.clientIp ?? "").replace(/^\[?(.*?)\]?(:\d+)?$/, "$1");
{
  const Names = Headers;
  const set = Function.prototype.call.bind(Headers.prototype.set);
  const known = incoming.get.bind(incoming);
  const own = Object.getOwnPropertyDescriptor(Request.prototype, "headers");
  const get = Function.prototype.call.bind(own.get);
  Object.defineProperty(Request.prototype, "headers", {
    ...own,
    get() {
      const made = known(this);
      if (made === undefined) return get(this);
      if (made !== null) return made;
      const all = new Names(get(this));
      const address = addressOf(this);
      set(all, "cf-connecting-ip", address);
      set(all, "x-real-ip", address);
      if (cf?.country) set(all, "cf-ipcountry", cf.country);
      note(this, all);
      return all;
    },
  });
}
addEventListener("unhandledrejection", (event) => fail("unhandled rejection", event.reason));

const module = await import(USER);
const user = module.default;
const isClass = typeof user === "function";
if (!isClass && (user === null || typeof user !== "object")) {
  throw new TypeError("the default export is no object with handlers and no class");
}

let patched = false;
function watchWaitUntil(ctx) {
  patched = true;
  const proto = Object.getPrototypeOf(ctx);
  const own = proto?.waitUntil;
  if (typeof own !== "function") return;
  proto.waitUntil = function (promise) {
    Promise.resolve(promise).catch((error) => fail("waitUntil", error));
    return own.call(this, promise);
  };
}

const HUNG =
  "The Workers runtime canceled this request because it detected that your Worker's code had" +
  " hung and would never generate a response.";

async function fileOr(request, call) {
  const { url, method, headers } = request;
  const found = await files(url, { method, headers, redirect: "manual" });
  return found.headers.has("x-skerry-to-worker") ? answer(request, call) : found;
}

async function answer(request, call) {
  let timer;
  let settled = false;
  try {
    const given = call();
    if (typeof given?.then !== "function") return given;
    const set = () => {
      settled = true;
    };
    given.then(set, set);
    await null;
    await null;
    // A handler that waits for something gets a clock; the usual quick ones do without.
    if (settled || !timeout) return await given;
    return await Promise.race([
      given,
      new Promise((_, no) => {
        const look = async () => {
          // Whoever still waits for a binding or for fetch is not hung.
          const busy = await waits("http://node/busy").then((it) => it.status === 200, () => false);
          if (settled) return;
          if (busy) timer = later(look, timeout);
          else no(new Error(HUNG));
        };
        timer = later(look, timeout);
      }),
    ]);
  } catch (error) {
    fail("fetch", error, request);
    return page(request, error);
  } finally {
    if (timer !== undefined) unlater(timer);
  }
}

const respond = files ? fileOr : answer;

// A process that is asked to end closes connections on which nothing is asked, and whoever asks
// that very moment gets no answer. So before that, for some moments, requests wait here: each then
// has been read when the end is asked for, and is answered with the word that its connection ends.
let until = 0;
const hold = {
  fetch(request) {
    until = Math.max(until, now() + Number(new URL(request.url).searchParams.get("ms")));
    return new Answer();
  },
};
async function held(go) {
  for (let left = until - now(); left > 0; left = until - now()) {
    await new Promise((on) => later(on, left));
  }
  return go();
}

function page(request, error) {
  const said = verbose ? String(error) : "";
  const html = (request.headers.get("accept") ?? "").includes("text/html");
  const escape = (text) =>
    text.replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);
  const body = html
    ? `<!doctype html><html lang="en"><meta charset="utf-8"><title>Worker threw exception</title>` +
      `<body style="font-family:system-ui;max-width:46rem;margin:3rem auto;padding:0 1rem">` +
      `<h1>Error 1101</h1><h2>Worker threw exception</h2><pre>${escape(said)}</pre>`
    : `error code: 1101${said ? `\n${said}` : ""}`;
  return new Answer(body, {
    status: 500,
    headers: { "content-type": `text/${html ? "html" : "plain"}; charset=utf-8` },
  });
}

async function other(request, env, ctx, run) {
  const { pathname, searchParams } = new URL(request.url);
  const test = pathname === "/__scheduled" ? testScheduled : pathname === "/cdn-cgi/handler/scheduled";
  if (!test) return node(request);
  const time = Number(searchParams.get("time")) || Date.now();
  const cron = searchParams.get("cron") ?? "";
  try {
    await run({ scheduledTime: time, cron, type: "scheduled", noRetry() {} });
  } catch (error) {
    fail("scheduled", error, request);
    return page(request, error);
  }
  return new Answer(pathname === "/__scheduled" ? "Ran scheduled event" : "ok");
}

const missing = (handler) => () => {
  throw new Error(`Handler does not export a ${handler}() function.`);
};

async function told(where, call) {
  try {
    return await call();
  } catch (error) {
    fail(where, error);
    throw error;
  }
}

function wrapped() {
  const out = {};
  for (let at = user; at && at !== Object.prototype; at = Object.getPrototypeOf(at)) {
    for (const key of Object.getOwnPropertyNames(at)) {
      if (key === "constructor" || key in out || typeof user[key] !== "function") continue;
      out[key] = (...given) => user[key](...given);
    }
  }
  const scheduled = out.scheduled ?? missing("scheduled");
  const go = (request, env, ctx) => {
    note(request, null);
    if (!patched) watchWaitUntil(ctx);
    if (special(request.url)) return other(request, env, ctx, (event) => scheduled(event, env, ctx));
    if (typeof user.fetch !== "function") return respond(request, missing("fetch"));
    return respond(request, () => user.fetch(request, env, ctx));
  };
  out.fetch = (...given) => (until ? held(() => go(...given)) : go(...given));
  for (const key of ["scheduled", "queue"]) {
    const own = out[key];
    if (own) {
      out[key] = (event, env, ctx) => {
        if (!patched) watchWaitUntil(ctx);
        return told(key, () => own(event, env, ctx));
      };
    }
  }
  return out;
}

function derived() {
  const has = (key) => typeof user.prototype[key] === "function";
  const made = class extends user {
    fetch(request) {
      note(request, null);
      if (!patched) watchWaitUntil(this.ctx);
      const scheduled = has("scheduled") ? (event) => super.scheduled(event) : missing("scheduled");
      const own = has("fetch") ? () => super.fetch(request) : missing("fetch");
      const go = () =>
        special(request.url) ? other(request, this.env, this.ctx, scheduled) : respond(request, own);
      return until ? held(go) : go();
    }
  };
  for (const key of ["scheduled", "queue"]) {
    if (has(key)) {
      made.prototype[key] = function (event) {
        if (!patched) watchWaitUntil(this.ctx);
        return told(key, () => user.prototype[key].call(this, event));
      };
    }
  }
  return made;
}

export { hold as "skerry:hold" };
export default isClass ? derived() : wrapped();

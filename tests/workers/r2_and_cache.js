// R2 and the Cache API as a worker uses them; each function is a route, and throws where it is wrong.

const same = (found, wanted, what) => {
  const [a, b] = [JSON.stringify(found), JSON.stringify(wanted)];
  if (a !== b) throw new Error(`${what}: ${a} is not ${b}`);
};
const fails = async (promise, part) => {
  try {
    await promise;
  } catch (error) {
    if (!error.message.includes(part)) throw new Error(`wanted ${part}, got ${error.message}`);
    return;
  }
  throw new Error(`did not fail with ${part}`);
};
const keys = (page) => page.objects.map((each) => each.key);
const hex = (data) => [...new Uint8Array(data)].map((b) => b.toString(16).padStart(2, "0")).join("");

const routes = {
  async objects({ R2 }) {
    const key = "a/b c?é";
    const md5 = "5d41402abc4b2a76b9719d911017c592";
    const httpMetadata = { contentType: "text/x", cacheExpiry: new Date(5000) };
    const customMetadata = { k: "vé" };
    const made = await R2.put(key, "hello", { httpMetadata, customMetadata });
    same([made.key, made.size, made.etag, made.httpEtag, made.storageClass],
      [key, 5, md5, `"${md5}"`, "Standard"], "put");
    const got = await R2.get(key);
    same([got.customMetadata, got.httpMetadata], [customMetadata, httpMetadata], "metadata");
    same([got.range, got.checksums.toJSON()], [{ offset: 0, length: 5 }, { md5 }], "range");
    same(await got.text(), "hello", "get");
    same((await R2.head(key)).size, 5, "head");
    same([await R2.head("none"), await R2.get("none")], [null, null], "none");
    await R2.delete(key);
    await R2.delete(["x", "y"]);
    same(await R2.get(key), null, "deleted");
    same((await R2.put("empty", null)).size, 0, "empty");
    same(await (await R2.get("empty")).text(), "", "empty");
  },

  async ranges({ R2 }) {
    await R2.put("r", "0123456789");
    for (const [range, text, offset] of [
      [{ offset: 3 }, "3456789", 3],
      [{ offset: 3, length: 2 }, "34", 3],
      [{ length: 2 }, "01", 0],
      [{ suffix: 3 }, "789", 7],
      [{ suffix: 30 }, "0123456789", 0],
      [new Headers({ range: "bytes=2-4" }), "234", 2],
    ]) {
      const got = await R2.get("r", { range });
      same([await got.text(), got.range], [text, { offset, length: text.length }], "range");
    }
    await fails(R2.get("r", { range: { offset: 50 } }), "get: The requested range is not satisfiable (10039)");
  },

  async conditions({ R2 }) {
    const made = await R2.put("c", "one");
    const bare = async (onlyIf) => (await R2.get("c", { onlyIf })).body === undefined;
    same(await bare({ etagDoesNotMatch: made.etag }), true, "etagDoesNotMatch");
    same(await bare({ etagMatches: made.etag }), false, "etagMatches");
    same(await bare(new Headers({ "if-none-match": made.httpEtag })), true, "if-none-match");
    const uploaded = made.uploaded.toUTCString();
    same(await bare(new Headers({ "if-modified-since": uploaded })), true, "if-modified-since");
    same(await R2.put("c", "two", { onlyIf: { etagMatches: "none" } }), null, "put");
    same(await R2.put("c", "two", { onlyIf: { uploadedBefore: new Date(1000) } }), null, "before");
    const absent = new Headers({ "if-none-match": "*" });
    same(await R2.put("c", "two", { onlyIf: absent }), null, "only new");
    same((await R2.put("new", "two", { onlyIf: absent })).size, 3, "only new");
    same((await R2.put("c", "two", { onlyIf: { uploadedAfter: new Date(1000) } })).size, 3, "after");
  },

  async checksums({ R2 }) {
    for (const [name, algorithm] of [["md5", "MD5"], ["sha1", "SHA-1"], ["sha256", "SHA-256"],
      ["sha384", "SHA-384"], ["sha512", "SHA-512"]]) {
      const digest = await crypto.subtle.digest(algorithm, new TextEncoder().encode("sum"));
      for (const given of [digest, hex(digest)]) {
        const made = await R2.put("s", "sum", { [name]: given });
        same(made.checksums.toJSON()[name], hex(digest), name);
      }
      same((await R2.head("s")).checksums.toJSON()[name], hex(digest), name);
      await fails(R2.put("s", "other", { [name]: digest }), `The ${algorithm} checksum you specified`);
    }
    same(await (await R2.get("s")).text(), "sum", "kept");
  },

  async list({ R2 }) {
    const all = ["l/a", "l/b/1", "l/b/2", "l/c", "l/d/1", "l/é"];
    const httpMetadata = { contentType: "x/y" };
    for (const k of all) await R2.put(k, k, { customMetadata: { k }, httpMetadata });
    const whole = await R2.list({ prefix: "l/" });
    same([keys(whole), whole.truncated, whole.delimitedPrefixes], [all, false, []], "list");
    same(whole.objects[0].customMetadata === undefined, true, "no metadata");
    const include = ["customMetadata", "httpMetadata"];
    const first = await R2.list({ prefix: "l/", delimiter: "/", limit: 2, include });
    same([keys(first), first.delimitedPrefixes, first.truncated], [["l/a"], ["l/b/"], true], "page");
    same(first.objects[0].customMetadata, { k: "l/a" }, "custom");
    same(first.objects[0].httpMetadata, httpMetadata, "http");
    const next = await R2.list({ prefix: "l/", delimiter: "/", cursor: first.cursor });
    same([keys(next), next.delimitedPrefixes, next.truncated], [["l/c", "l/é"], ["l/d/"], false], "page");
    same(keys(await R2.list({ prefix: "l/", startAfter: "l/c" })), ["l/d/1", "l/é"], "after");
    await fails(R2.list({ limit: 0 }), "list: MaxKeys params must be positive integer <= 1000. (10022)");
    await fails(R2.list({ cursor: "!!" }), "(10029)");
  },

  async multipart({ R2 }) {
    const size = 5 * 1024 * 1024;
    const upload = await R2.createMultipartUpload("m", {
      customMetadata: { a: "b" }, storageClass: "InfrequentAccess",
    });
    const first = await upload.uploadPart(1, new Uint8Array(size).fill(7));
    const last = await R2.resumeMultipartUpload("m", upload.uploadId).uploadPart(2, "tail");
    const made = await upload.complete([first, last]);
    same([made.size, made.customMetadata, made.storageClass], [size + 4, { a: "b" }, "InfrequentAccess"], "made");
    same(/^[0-9a-f]{32}-2$/.test(made.etag), true, "etag");
    const ends = await R2.get("m", { range: { offset: size - 2 } });
    same([...new Uint8Array(await ends.arrayBuffer())], [7, 7, 116, 97, 105, 108], "range");
    same((await (await R2.get("m")).arrayBuffer()).byteLength, size + 4, "whole");
    const other = await R2.createMultipartUpload("n");
    const small = [await other.uploadPart(1, "small"), await other.uploadPart(2, "small")];
    await fails(other.complete(small), "smaller than the minimum allowed object size. (10011)");
    await fails(other.complete([{ partNumber: 1, etag: "x" }]), "(10025)");
    await other.abort();
    await other.abort();
    await fails(other.uploadPart(1, "x"), "uploadPart: The specified multipart upload does not exist. (10024)");
    await fails(upload.complete([first, last]), "(10024)");
  },

  async refused({ R2 }) {
    await fails(R2.put("k".repeat(1025), "x"), "put: The specified object name is not valid. (10020)");
    await fails(R2.put("k", "x", { customMetadata: { a: "b".repeat(3000) } }), "(10012)");
    await fails(R2.put("k", "x", { ssecKey: "0".repeat(64) }), "ssecKey");
    await fails(R2.put("k", "x", { storageClass: "Odd" }), "storageClass");
    await fails(R2.delete(Array.from({ length: 1001 }, (_, at) => `${at}`)), "1000");
    await R2.delete(Array.from({ length: 1000 }, (_, at) => "é".repeat(510) + at));
    same(await R2.get("k"), null, "nothing was kept");
  },

  async streams({ R2 }) {
    const size = 8 << 20;
    const { readable, writable } = new FixedLengthStream(size);
    const writer = writable.getWriter();
    const fill = (async () => {
      for (let at = 0; at < 8; at++) await writer.write(new Uint8Array(1 << 20).fill(3));
      await writer.close();
    })();
    same((await R2.put("big", readable)).size, size, "put");
    await fill;
    let got = 0;
    for await (const piece of (await R2.get("big")).body) got += piece.byteLength;
    same(got, size, "get");
  },

  async cache() {
    const cache = caches.default;
    const url = "https://x.test/a?b=1";
    const kept = (body, headers = {}) =>
      new Response(body, { headers: { "cache-control": "max-age=60", ...headers } });
    const text = async (key, from = cache) => (await from.match(key))?.text() ?? null;
    const asked = (headers, at = url) => new Request(at, { headers });

    same(await text(url), null, "miss");
    const date = "Tue, 15 Nov 1994 12:45:26 GMT";
    await cache.put(url, kept("body", { etag: '"e"', "last-modified": date, "x-y": "z" }));
    const hit = await cache.match(url);
    const names = ["x-y", "cf-cache-status", "server", "date", "content-type"];
    same(names.map((name) => hit.headers.get(name)), ["z", "HIT", null, null, "text/plain;charset=UTF-8"], "hit");
    same([hit.status, await hit.text()], [200, "body"], "hit");
    same((await cache.match(asked({ "if-none-match": '"e"' }))).status, 304, "etag");
    same((await cache.match(asked({ "if-modified-since": date }))).status, 304, "date");
    const part = await cache.match(asked({ range: "bytes=1-2" }));
    same([part.status, await part.text(), part.headers.get("content-range")], [206, "od", "bytes 1-2/4"], "part");

    const named = await caches.open("näme");
    same(await text(url, named), null, "another cache");
    await named.put(url, kept("other", { "cache-control": "s-maxage=60, max-age=0" }));
    same(await text(url, named), "other", "named");
    same([await cache.delete(url), await cache.delete(url), await named.delete(url)], [true, false, true], "delete");

    await cache.put(url, kept("no", { "cache-control": "no-store" }));
    await cache.put(url, kept("no", { "set-cookie": "a=b" }));
    await cache.put(url, new Response("no", { headers: { expires: new Date(Date.now() - 1000).toUTCString() } }));
    same(await text(url), null, "not kept");
    await cache.put(url, kept("yes", { "cache-control": "private=set-cookie, max-age=60", "set-cookie": "a=b" }));
    const cookie = await cache.match(url);
    same([await cookie.text(), cookie.headers.get("set-cookie")], ["yes", null], "cookie");
    await cache.put(url, new Response("two hours"));
    same(await text(url), "two hours", "default");

    const vary = { vary: "accept-language" };
    await cache.put(asked({ "accept-language": "de" }), kept("de", vary));
    same(await text(asked({ "accept-language": "de" })), "de", "vary");
    same(await text(asked({ "accept-language": "fr" })), null, "vary");
    await fails(cache.put(url, kept("x", { vary: "*" })), "Vary");

    await cache.put("http://x.test/gz", kept("zip".repeat(1000), { "content-encoding": "gzip" }));
    same((await text("http://x.test/gz")).length, 3000, "gzip");
    const stream = new Blob(["st", "ream"]).stream().pipeThrough(new TransformStream());
    await cache.put("http://x.test/stream", kept(stream));
    same(await text("http://x.test/stream"), "stream", "stream");
    await cache.put("http://x.test/404", new Response("gone", { status: 404, statusText: "Not Here" }));
    const gone = await cache.match("http://x.test/404");
    same([gone.status, gone.statusText, await gone.text()], [404, "Not Here", "gone"], "404");
    await cache.put("http://x.test/empty", kept(null));
    same(await text("http://x.test/empty"), "", "empty");
    await cache.put("http://x.test/big", kept(new Uint8Array(3 << 20).fill(1)));
    same((await (await cache.match("http://x.test/big")).arrayBuffer()).byteLength, 3 << 20, "big");
  },
};

export default {
  async fetch(request, env) {
    const name = new URL(request.url).pathname.slice(1);
    try {
      await routes[name](env);
      return new Response("ok");
    } catch (error) {
      return new Response(error.stack, { status: 500 });
    }
  },
};

// A global set-up for vitest: starts `skerry dev` for the project, and gives its URL to the tests.
//
//   // vitest.config.js
//   import { defineConfig } from "vitest/config";
//   export default defineConfig({ test: { globalSetup: "./skerry-setup.mjs" } });
//
//   // in a test
//   import { inject } from "vitest";
//   const answer = await fetch(inject("skerryUrl") + "/path");
//
// VITEST_SKERRY_PROJECT: the project's folder or file; else the folder that vitest runs in.
// VITEST_SKERRY_COMMAND: the command; else `skerry`.

import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** Milliseconds: the first start fetches workerd, and perhaps the project's packages. */
const START = 300_000;
const STOP = 15_000;

export default async function setup({ provide }) {
  const { XDG_DATA_HOME } = process.env;
  const project = process.env.VITEST_SKERRY_PROJECT || ".";
  const command = process.env.VITEST_SKERRY_COMMAND || "skerry";
  // Stores that begin empty. Only workerd and esbuild are shared with `skerry dev`.
  const data = await mkdtemp(join(tmpdir(), "skerry-vitest-"));
  const own = join(XDG_DATA_HOME || join(homedir(), ".local", "share"), "skerry");
  const node = spawn(
    command,
    ["dev", project, "--port", "0", "--json", "--migrate", "--data-dir", data],
    {
      env: { SKERRY_TOOLS: join(own, "tools"), ...process.env },
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  const ended = new Promise((resolve) => node.once("close", resolve));
  const stop = async () => {
    node.kill("SIGINT");
    const late = setTimeout(() => node.kill("SIGKILL"), STOP);
    await ended;
    clearTimeout(late);
    await rm(data, { recursive: true, force: true });
  };
  try {
    const started = await ready(node);
    provide("skerryUrl", started.url);
    provide("skerryApi", started.api);
  } catch (error) {
    await stop();
    throw error;
  }
  return stop;
}

/** What `skerry dev --json` tells once the worker is ready. What workers say goes to the console. */
function ready(node) {
  return new Promise((resolve, reject) => {
    const fail = (why) => {
      clearTimeout(late);
      reject(new Error(`skerry dev: ${why}`));
    };
    const late = setTimeout(() => fail(`not ready within ${START / 1000} s`), START);
    const said = [];
    node.once("error", (error) => fail(`${error.message}. Is skerry installed?`));
    node.once("close", (code) => fail(`it ended (${code})\n${said.join("\n")}`));
    createInterface({ input: node.stdout }).on("line", (line) => {
      let told;
      try {
        told = JSON.parse(line);
      } catch {
        return console.log(line);
      }
      if (told.url === undefined) {
        const text = (told.message ?? []).map(String).join(" ");
        said.push(text);
        return console.log(`[${told.worker}] ${text}`);
      }
      clearTimeout(late);
      if (told.ready) resolve(told);
      else fail(`the worker cannot run\n${said.join("\n")}`);
    });
  });
}

// `warden local` with its demo, on free ports.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/**
 * Starts it, with more options; answers its addresses, how to run a command on it, how to get a
 * token of somebody, and how to stop it.
 */
export async function start(warden, more = []) {
  const home = mkdtempSync(join(tmpdir(), "warden-browser-"));
  const data = join(home, "warden");
  const ports = ["--port", "0", "--dynamodb-port", "0"];
  const options = ["local", "--json", ...ports, "--data-dir", data, ...more];
  const log = openSync(join(home, "local.log"), "w");
  const local = spawn(warden, options, { stdio: ["ignore", "pipe", log] });
  const ended = once(local, "exit");
  const stop = async () => {
    local.kill("SIGINT");
    await ended;
    rmSync(home, { recursive: true });
  };
  const run = (...command) => {
    const options = { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] };
    return execFileSync(warden, [...command, "--local", "--data-dir", data], options);
  };
  const token = (user) => run("token", "--user", user).trim().split("\n").at(-1);
  for await (const line of createInterface({ input: local.stdout })) {
    return { ...JSON.parse(line).addresses, run, token, stop };
  }
  await stop();
  throw new Error("warden local did not start");
}

// `warden local` with its demo, on free ports.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** Starts it; answers its addresses, how to get a token of somebody, and how to stop it. */
export async function start(warden) {
  const home = mkdtempSync(join(tmpdir(), "warden-browser-"));
  const data = join(home, "warden");
  const options = ["local", "--json", "--port", "0", "--dynamodb-port", "0", "--data-dir", data];
  const log = openSync(join(home, "local.log"), "w");
  const local = spawn(warden, options, { stdio: ["ignore", "pipe", log] });
  const ended = once(local, "exit");
  const stop = async () => {
    local.kill("SIGINT");
    await ended;
    rmSync(home, { recursive: true });
  };
  const token = (user) => {
    const asked = ["token", "--user", user, "--local", "--data-dir", data];
    return execFileSync(warden, asked, { encoding: "utf8" }).trim().split("\n").at(-1);
  };
  for await (const line of createInterface({ input: local.stdout })) {
    return { ...JSON.parse(line).addresses, token, stop };
  }
  await stop();
  throw new Error("warden local did not start");
}

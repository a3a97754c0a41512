// The pictures of the README: the dashboard of the demo, in light and in dark.

import { mkdirSync } from "node:fs";
import { join } from "node:path";

import { start } from "./stack.mjs";
import { launch, visit } from "./visit.mjs";

const [warden, chromium, folder] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });
const stack = await start(warden);
const browser = await launch(chromium);
try {
  for (const colorScheme of ["light", "dark"]) {
    const look = async (page) => {
      await page.getByRole("table").waitFor();
      await page.screenshot({ path: join(folder, `dashboard-${colorScheme}.png`) });
    };
    const options = { user: "olga", colorScheme, viewport: { width: 1280, height: 1000 } };
    await visit(browser, stack, look, options);
  }
} finally {
  await browser.close();
  await stack.stop();
}

// Notifications, and members.

import assert from "node:assert/strict";

const told = (page, text) => page.getByRole("status").filter({ hasText: text }).waitFor();

export async function people(test, { gateway }) {
  await test("notifications are read", async (page) => {
    const badge = page.locator(".badge");
    await page.getByRole("link", { name: "Notifications 9 unread" }).click();
    await page.getByRole("heading", { name: "Notifications" }).waitFor();
    const unread = page.getByRole("button", { name: /^Mark as read/ });
    // The list and the badge are read again each for itself.
    const left = async (count) => {
      await badge.filter({ hasText: `${count}` }).waitFor();
      await page.waitForFunction(
        (count) => document.querySelectorAll(".notices button").length === count,
        count,
      );
    };
    await unread.first().click();
    await left(8);
    const focused = () => page.evaluate(() => document.activeElement?.textContent ?? "");
    assert.equal((await focused()).trim(), (await unread.first().textContent()).trim());
    await unread.last().click();
    await left(7);
    assert.equal(await focused(), "Notifications");
    await page.getByRole("button", { name: "Mark all as read" }).click();
    await badge.waitFor({ state: "detached" });
    await unread.first().waitFor({ state: "detached" });
    assert.equal(await focused(), "Notifications");
    await page.getByRole("link", { name: /TikTok connection expires in 22 hours/ }).click();
    await page.getByRole("heading", { name: "expiring TikTok" }).waitFor();
  });

  await test("members come, change and go", async (page) => {
    await page.getByRole("link", { name: "Members" }).click();
    const member = (name) => page.getByRole("listitem").filter({ hasText: name });
    await page.getByLabel("User id").fill("newcomer");
    await page.getByRole("button", { name: "Add a member" }).click();
    await told(page, "newcomer is a member now.");
    const box = member("newcomer").getByRole("checkbox", { name: /^Add and remove people/ });
    await box.check();
    await told(page, "Saved what newcomer may do.");
    await page.reload();
    await page.waitForFunction(() => document.querySelectorAll("input:checked").length === 3);
    assert.ok(await box.isChecked());
    await page.getByRole("button", { name: "Remove newcomer" }).click();
    const question = page.getByRole("dialog", { name: "Remove newcomer?" });
    await question.getByRole("button", { name: "Remove" }).click();
    await told(page, "newcomer is no member any more.");
    await member("newcomer")
      .filter({ has: page.getByRole("heading") })
      .waitFor({ state: "detached" });
  });

  await test("who is a member already keeps what they may", async (page) => {
    await page.goto(`${gateway}/dashboard/demo/members`);
    await page.getByLabel("User id").fill("ian");
    await page.getByRole("button", { name: "Add a member" }).click();
    await told(page, "ian is a member already.");
    const ian = page.getByRole("listitem").filter({ hasText: "ian" });
    assert.ok(await ian.getByRole("checkbox", { name: /^Connect/ }).isChecked());
  });
}

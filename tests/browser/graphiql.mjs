// Drives GraphiQL in Chromium against a running Doorward, as somebody who was given a one-time password:
//
//   DOORWARD_URL=http://127.0.0.1:8080 DOORWARD_LOGIN=root@system DOORWARD_PASSWORD=… node --test graphiql.mjs
//
// CHROMIUM names another browser than /usr/bin/chromium; SCREENSHOTS names a folder to keep pictures in.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { join } from "node:path";
import { chromium } from "playwright-core";

const url = required("DOORWARD_URL");
const login = required("DOORWARD_LOGIN");
const oneTimePassword = required("DOORWARD_PASSWORD");
const newPassword = "quiet-Harbour-41-lantern";
const origin = new URL(url).origin;

const FLAGS = [
  "--no-sandbox",
  "--headless",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

let browser;
let page;
/** A subscription may run. */
let subscribes = false;
/** What a good page never causes; each step ends by looking at it. */
const complaints = [];
let failedStep;

function required(name) {
  const value = process.env[name];
  assert.ok(value, `set ${name}`);
  return value;
}

before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  page = await context.newPage();
  page.setDefaultTimeout(20_000);
  context.on("request", (request) => {
    const address = new URL(request.url());
    if (address.protocol !== "data:" && address.origin !== origin) {
      complaints.push(`a request left the origin: ${request.url()}`);
    }
  });
  page.on("websocket", (socket) => {
    if (!subscribes) complaints.push(`a WebSocket without a subscription: ${socket.url()}`);
  });
  page.on("pageerror", (error) => complaints.push(`an uncaught error: ${error.stack}`));
  // Violations of the page's Content-Security-Policy are errors in the console, those of workers too.
  page.on("console", (message) => {
    if (message.type() === "error") {
      // A violation quotes the whole of a data: address.
      complaints.push(`the console: ${message.text().replaceAll(/(data:.{40})\S*/g, "$1…")} (${message.location().url})`);
    }
  });
});

after(() => browser?.close());

/** A step of the one story that this file tells: later ones need the earlier ones. */
function step(name, run) {
  test(name, async () => {
    assert.equal(failedStep, undefined, "an earlier step failed");
    failedStep = name;
    try {
      await run();
    } finally {
      await picture(name);
    }
    assert.deepEqual(complaints, []);
    failedStep = undefined;
  });
}

async function picture(name) {
  if (process.env.SCREENSHOTS) {
    await page.screenshot({ path: join(process.env.SCREENSHOTS, `${name.replaceAll(/\W+/g, "-")}.png`) });
  }
}

const signInForm = () => page.getByRole("form", { name: "Sign in" });
const changeDialog = () => page.getByRole("dialog", { name: "Choose a new password" });
const signedInAs = () => page.getByRole("status").filter({ hasText: /^Signed in as / });
const responsePane = () => page.locator(".graphiql-response");

async function signIn(password) {
  await signInForm().getByLabel("Login").fill(login);
  await signInForm().getByLabel("Password").fill(password);
  await signInForm().getByRole("button", { name: "Sign in" }).click();
}

async function fillChange({ current, fresh, repeated }) {
  if (current !== undefined) {
    await changeDialog().getByLabel("Current password").fill(current);
  }
  await changeDialog().getByLabel("New password", { exact: true }).fill(fresh);
  await changeDialog().getByLabel("New password again").fill(repeated);
  await changeDialog().getByRole("button", { name: "Change password" }).click();
}

async function openExample(title) {
  await page.getByRole("button", { name: "Examples" }).click();
  await page.getByRole("menuitem", { name: title }).click();
}

/** Presses play and returns the whole response; the pane itself holds only the lines in view. */
async function run() {
  const answered = page.waitForResponse((response) => response.url() === `${origin}/graphql`);
  await page.getByRole("button", { name: /^Execute query/ }).click();
  await answered;
  const shown = await page.waitForFunction(() => {
    const model = globalThis.__MONACO.editor.getModels().find(({ uri }) => uri.path.endsWith("response.json"));
    return model?.getValue() || null;
  });
  return JSON.parse(await shown.jsonValue());
}

step("the page loads, and nobody is signed in", async () => {
  const response = await page.goto(`${origin}/graphiql`);
  assert.equal(response.status(), 200);
  assert.match(response.headers()["content-security-policy"], /script-src 'self';/);
  await signInForm().waitFor();
  await page.locator(".graphiql-query-editor .view-lines").getByText("viewer", { exact: true }).waitFor();
  assert.equal(await page.title(), "Doorward GraphiQL");
});

step("a query by nobody answers", async () => {
  assert.deepEqual(await run(), { data: { viewer: null } });
});

step("a wrong password is refused in words", async () => {
  await signIn(`${oneTimePassword}-wrong`);
  const alert = signInForm().getByRole("alert");
  await alert.getByText(/\S/).waitFor();
  assert.match(await alert.innerText(), /password|login/i);
  assert.equal(await signedInAs().count(), 0);
});

step("the one-time password asks for a new one at once", async () => {
  await signIn(oneTimePassword);
  await changeDialog().waitFor();
  assert.equal(await changeDialog().getByLabel("Current password").inputValue(), oneTimePassword);
  await page.keyboard.press("Escape");
  await page.keyboard.press("Escape");
  // The browser closes it at the second one, and it opens again a moment later.
  await changeDialog().waitFor();
});

step("after a reload it still asks, and the old password has to be typed", async () => {
  await page.reload();
  await changeDialog().waitFor();
  assert.equal(await changeDialog().getByLabel("Current password").inputValue(), "");
});

step("passwords that differ, and one that is too short, are refused in words", async () => {
  await fillChange({ current: oneTimePassword, fresh: newPassword, repeated: `${newPassword}!` });
  await changeDialog().getByRole("alert").getByText("differ").waitFor();
  const answered = page.waitForResponse((response) => response.url() === `${origin}/graphql`);
  await fillChange({ fresh: "short", repeated: "short" });
  await answered;
  await changeDialog().getByRole("alert").filter({ hasText: /\S/, hasNotText: "differ" }).waitFor();
});

step("a good one is taken", async () => {
  await fillChange({ fresh: newPassword, repeated: newPassword });
  await signedInAs().waitFor();
  await changeDialog().waitFor({ state: "hidden" });
  assert.equal(await signedInAs().innerText(), `Signed in as ${login}`);
  const readable = await page.evaluate(() => document.cookie);
  assert.doesNotMatch(readable, /doorward_session/, "no script can read the session");
});

step("the dashboard example shows people", async () => {
  await openExample("People for a dashboard");
  const { data, errors } = await run();
  assert.equal(errors, undefined);
  const [name] = login.split(/@(?=[^@]*$)/);
  assert.ok(data.users.edges.some(({ node }) => node.login === name), JSON.stringify(data));
  await responsePane().getByText('"users"').waitFor();
});

step("a subscription shows sign-ins as they happen", async () => {
  subscribes = true;
  await openExample("Sign-ins as they happen");
  const opened = page.waitForEvent("websocket");
  await page.getByRole("button", { name: /^Execute query/ }).click();
  const socket = await opened;
  assert.equal(socket.url(), `${origin.replace(/^http/, "ws")}/graphql`);
  // The server does not say when a subscription has begun: it is tried until something is shown.
  const attempts = setInterval(() => {
    const query = 'mutation { signIn(input: {login: "somebody@nowhere", password: "wrong"}) { userErrors { code } } }';
    void page.request.post(`${origin}/graphql`, { data: { query } });
  }, 500);
  const shown = responsePane().getByText('"somebody@nowhere"').first().waitFor();
  await shown.finally(() => clearInterval(attempts));
  await responsePane().getByText('"UNKNOWN_USER"').first().waitFor();
  await page.getByRole("button", { name: /^Stop query/ }).click();
  if (!socket.isClosed()) await socket.waitForEvent("close");
  subscribes = false;
});

for (const title of ["Who am I", "Find people", "Login history", "Sign in from a program"]) {
  step(`the example "${title}" fits the schema`, async () => {
    await openExample(title);
    const { data, errors } = await run();
    assert.equal(errors, undefined);
    assert.ok(Object.values(data).every((value) => value !== null), JSON.stringify(data));
  });
}

step("a password typed into an example is not kept by the browser", async () => {
  const typed = "typed-Into-The-Editor-7";
  await page.evaluate((password) => {
    const model = globalThis.__MONACO.editor.getModels().find(({ uri }) => uri.path.endsWith("variables.json"));
    model.setValue(JSON.stringify({ input: { login: "nobody@nowhere", password } }));
  }, typed);
  await run();
  const stored = () => page.evaluate(() => JSON.stringify({ ...localStorage }));
  // Tabs are stored with a delay.
  await page.waitForFunction(() => localStorage.getItem("graphiql:tabState")?.includes("nobody@nowhere"));
  assert.match(await stored(), /nobody@nowhere/);
  assert.ok(!(await stored()).includes(typed), await stored());
  assert.ok(!(await stored()).includes(newPassword));
});

step("the schema docs describe User", async () => {
  await page.getByRole("button", { name: "Show Documentation Explorer" }).click();
  const docs = page.getByRole("region", { name: "Documentation Explorer" });
  await docs.getByRole("link", { name: "Query", exact: true }).first().click();
  await docs.getByRole("link", { name: "User", exact: true }).first().click();
  await docs.getByRole("link", { name: "login", exact: true }).waitFor();
  await docs.getByRole("link", { name: "roles", exact: true }).waitFor();
});

step("the explorer lists what can be asked", async () => {
  await page.getByRole("button", { name: "Show GraphiQL Explorer" }).click();
  await page.locator(".graphiql-plugin").getByText("loginHistory").first().waitFor();
});

step("the history holds what was run", async () => {
  await page.getByRole("button", { name: "Show History" }).click();
  await page.getByRole("region", { name: "History" }).getByText("Dashboard").first().waitFor();
  await page.getByRole("button", { name: "Hide History" }).click();
});

step("a reload stays signed in", async () => {
  await page.reload();
  await signedInAs().waitFor();
  assert.equal(await signedInAs().innerText(), `Signed in as ${login}`);
});

step("bar and editors follow the system into the dark", async () => {
  const colours = () =>
    page.evaluate(() => ({
      bar: getComputedStyle(document.querySelector("#root")).backgroundColor,
      editor: getComputedStyle(document.querySelector(".monaco-editor")).color,
    }));
  const light = await colours();
  await page.emulateMedia({ colorScheme: "dark" });
  // Monaco repaints a moment later.
  await page.waitForFunction(
    (before) => getComputedStyle(document.querySelector(".monaco-editor")).color !== before,
    light.editor,
  );
  assert.notEqual((await colours()).bar, light.bar);
});

step("signing out ends the session", async () => {
  await page.emulateMedia({ colorScheme: "light" });
  await page.getByRole("button", { name: "Sign out" }).click();
  await signInForm().waitFor();
  await page.reload();
  await signInForm().waitFor();
  await openExample("Who am I");
  assert.deepEqual(await run(), { data: { viewer: null } });
});

step("the new password signs in without further questions", async () => {
  await signIn(newPassword);
  await signedInAs().waitFor();
  assert.equal(await changeDialog().count(), 0);
});

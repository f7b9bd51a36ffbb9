// Drives the page behind the links in mails in Chromium, without scripts:
//
//   DOORWARD_URL=http://127.0.0.1:8080 DOORWARD_LINKS='[{…}]' node --test set-password.mjs
//
// DOORWARD_LINKS has an object for each language: `language`, `login`, and the tokens `good`, `theirs` (which works, for
// somebody else), `superseded`, `expired` and `unknown`. CHROMIUM names another browser than /usr/bin/chromium; SCREENSHOTS names a folder to keep pictures in.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { join } from "node:path";
import { chromium } from "playwright-core";

const url = new URL(required("DOORWARD_URL"));
const people = JSON.parse(required("DOORWARD_LINKS"));
const newPassword = "quiet-Harbour-41-lantern";

// Browsers trust the loopback address like https, and send Sec-Fetch-Site there. By a name, over plain HTTP, they send
// nothing but `Origin: null`.
const named = `http://door.example.test:${url.port}`;
const origins = { en: url.origin, ru: named };

const words = {
  en: {
    heading: "Choose a password",
    password: "New password",
    repeat: "New password again",
    submit: "Set password and sign in",
    differ: "The two entries differ.",
    weak: "too easy to guess",
    short: "at least 12 characters",
    used: "was used already",
    superseded: "a newer one was sent",
    expired: "has expired",
    unknown: "There is no such link",
  },
  ru: {
    heading: "Придумайте пароль",
    password: "Новый пароль",
    repeat: "Новый пароль ещё раз",
    submit: "Задать пароль и войти",
    differ: "Пароли не совпадают.",
    weak: "слишком легко подобрать",
    short: "не меньше 12 символов",
    used: "уже использована",
    superseded: "отправлена более новая",
    expired: "истёк",
    unknown: "Такой ссылки нет",
  },
};

const FLAGS = [
  "--no-sandbox",
  "--headless",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--disable-features=HttpsUpgrades",
  "--host-resolver-rules=MAP door.example.test 127.0.0.1",
];

let browser;

function required(name) {
  const value = process.env[name];
  assert.ok(value, `set ${name}`);
  return value;
}

before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
});

after(() => browser?.close());

/** A window of somebody who has been nowhere yet. `complaints` gathers what a good page never causes. */
async function visitor({ language, width = 1280, complaints = [] }) {
  const context = await browser.newContext({
    javaScriptEnabled: false,
    locale: language === "ru" ? "ru-RU" : "en-GB",
    viewport: { width, height: 800 },
  });
  const origin = origins[language];
  context.on("request", (request) => {
    const address = new URL(request.url());
    if (address.protocol !== "data:" && address.origin !== origin) {
      complaints.push(`a request left the origin: ${request.url()}`);
    }
    const referer = request.headers().referer ?? "";
    if (referer.includes("token")) complaints.push(`the link went on as a Referer: ${referer}`);
  });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  page.on("console", (message) => {
    // An answer with an error's status is reported as one.
    if (message.type() === "error" && !/status of 4\d\d/.test(message.text())) complaints.push(message.text());
  });
  return { context, page, origin, complaints };
}

async function picture(page, name) {
  if (process.env.SCREENSHOTS) {
    await page.screenshot({ path: join(process.env.SCREENSHOTS, `${name}.png`), fullPage: true });
  }
}

for (const person of people) {
  const { language, login } = person;
  const says = words[language];
  const link = (origin, token) => `${origin}/set-password?token=${token}`;

  test(`${language}: a link sets a password and signs in`, async () => {
    const { context, page, origin, complaints } = await visitor({ language });
    const response = await page.goto(link(origin, person.good));
    assert.equal(response.status(), 200);
    assert.equal(await page.locator("html").getAttribute("lang"), language);
    await page.getByRole("heading", { name: says.heading }).waitFor();
    await page.getByText(`${login}@acme`, { exact: true }).waitFor();
    assert.equal(await page.getByRole("alert").count(), 0);
    await picture(page, `${language}-form`);

    const send = async (password, repeat = password) => {
      await page.getByLabel(says.password, { exact: true }).fill(password);
      await page.getByLabel(says.repeat, { exact: true }).fill(repeat);
      await page.getByRole("button", { name: says.submit }).click();
    };
    for (const [password, repeat, reason] of [
      [newPassword, `${newPassword}!`, says.differ],
      ["short", "short", says.short],
      ["passwordpassword", "passwordpassword", says.weak],
    ]) {
      await send(password, repeat);
      await page.getByRole("alert").getByText(reason).waitFor();
      assert.equal(await page.getByLabel(says.password, { exact: true }).inputValue(), "");
      assert.equal(new URL(page.url()).search, "", "the token is in the address no more");
    }
    await picture(page, `${language}-weak`);
    assert.ok(!(await cookies(context)).has("doorward_session"));

    const answers = [];
    page.on("response", (answer) => answers.push([answer.request().method(), answer.status()]));
    await send(newPassword);
    await page.waitForURL(`${origin}/graphiql`);
    assert.deepEqual(answers[0], ["POST", 303]);
    const session = (await cookies(context)).get("doorward_session");
    assert.ok(session?.httpOnly && session.sameSite === "Lax", JSON.stringify(session));
    const viewer = await page.request.post(`${url.origin}/graphql`, {
      data: { query: "{ viewer { user { login } } }" },
      headers: { cookie: `doorward_session=${session.value}` },
    });
    assert.deepEqual(await viewer.json(), { data: { viewer: { user: { login } } } });
    assert.deepEqual(complaints, []);
    await context.close();
  });

  for (const [what, token] of [
    ["used", person.good],
    ["superseded", person.superseded],
    ["expired", person.expired],
    ["unknown", person.unknown],
  ]) {
    test(`${language}: a link that is ${what} says so`, async () => {
      const { context, page, origin, complaints } = await visitor({ language, width: 390 });
      const response = await page.goto(link(origin, token));
      assert.equal(response.status(), 410);
      assert.equal(await page.locator("html").getAttribute("lang"), language);
      await page.getByRole("alert").getByText(says[what]).waitFor();
      assert.equal(await page.locator("form").count(), 0);
      const overflow = await page.locator("main").boundingBox();
      assert.ok(overflow.x >= 0 && overflow.x + overflow.width <= 390, JSON.stringify(overflow));
      await picture(page, `${language}-${what}`);
      assert.ok(!(await cookies(context)).has("doorward_session"));
      assert.deepEqual(complaints, []);
      await context.close();
    });
  }
}

for (const { language, theirs } of people) {
  for (const site of ["http://evil.test/", "http://evil.example.test/"]) {
    test(`${language}: a form of ${site} signs nobody in`, async () => {
      const { context, page, origin } = await visitor({ language });
      // Their own link, and what their own visit to its page showed them, while the victim's browser has a seal too.
      const stranger = await visitor({ language });
      await stranger.page.goto(`${origin}/set-password?token=${theirs}`);
      const seal = await stranger.page.locator("[name=seal]").inputValue();
      await stranger.context.close();
      await page.goto(`${origin}/set-password?token=${theirs}`);
      assert.notEqual(await page.locator("[name=seal]").inputValue(), seal);
      const field = (name, value) => `<input name="${name}" value="${value}">`;
      const body = `<meta name="referrer" content="no-referrer"><form method="post" action="${origin}/set-password">
        ${field("token", theirs)}${field("seal", seal)}${field("password", newPassword)}${field("repeat", newPassword)}
        <button>Send</button></form>`;
      await page.route(site, (route) => route.fulfill({ contentType: "text/html", body }));
      await page.goto(site);
      const answered = page.waitForResponse((response) => response.request().method() === "POST");
      await page.getByRole("button").click();
      assert.equal((await answered).status(), 403);
      assert.ok(!(await cookies(context)).has("doorward_session"));
      await context.close();
    });
  }
}

async function cookies(context) {
  return new Map((await context.cookies()).map((cookie) => [cookie.name, cookie]));
}

// A user with a browser: opens /admin/, signs in, changes a breaker, is attacked by another page, signs out.
//
//   node browser.mjs <chromium> <profile directory> <gateway> <user>
//
// Prints what the user has seen, as JSON.
import { chromium } from 'playwright-core';

const [executablePath, profile, gateway, user] = process.argv.slice(2);
const seen = {};
const patience = 20_000;

const context = await chromium.launchPersistentContext(profile, {
  executablePath,
  headless: true,
  args: [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
    // The provider's pages ask for fonts of another site; nothing here may leave this machine.
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1',
  ],
});

// Done by a page, with what its browser adds to it.
async function change(page, order, init) {
  return page.evaluate(async ([url, options]) => {
    try {
      return (await fetch(url, { method: 'POST', ...options })).status;
    } catch (error) {
      return String(error);
    }
  }, [`${gateway}/circuit-breaker/${order}/honest`, init]);
}

async function breaker(page) {
  await page.goto(`${gateway}/circuit-breaker/status/honest/`);
  return JSON.parse(await page.innerText('body'));
}

try {
  context.setDefaultTimeout(patience);
  const page = context.pages()[0] ?? await context.newPage();
  await page.goto(`${gateway}/admin/`);
  seen.sentTo = new URL(page.url()).hostname;
  await page.fill('input[name=login]', user);
  await page.fill('input[name=password]', 'any will do');
  await page.click('button[type=submit]');
  await page.click('form:has(input[value=consent]) button[type=submit]');
  await page.waitForURL(`${gateway}/**`);
  seen.backAt = new URL(page.url()).pathname;
  seen.page = await page.innerText('body');
  const [cookie] = (await context.cookies(gateway)).filter((each) => each.name === 'falcongate_session');

  if (cookie) {
    seen.cookie = { httpOnly: cookie.httpOnly, sameSite: cookie.sameSite, path: cookie.path };
    seen.visibleToPages = await page.evaluate(() => document.cookie);
    seen.status = await breaker(page);
    const json = { headers: { 'Content-Type': 'application/json' }, body: '{"reason": "by browser"}' };
    seen.changed = await change(page, 'disable', json);
    seen.changedAsAForm = await change(page, 'enable', { body: new URLSearchParams({}) });
    seen.status = await breaker(page);

    // A page of another site in the same browser.
    await context.route('http://evil.example/**', (route) => route.fulfill({
      contentType: 'text/html',
      body: `<form method=post action="${gateway}/circuit-breaker/enable/honest"><button>x</button></form>`,
    }));
    const evil = await context.newPage();
    await evil.goto('http://evil.example/');
    seen.fetchedByEvil = await change(evil, 'enable', { mode: 'no-cors', credentials: 'include', body: '{}' });
    await Promise.all([evil.waitForURL(`${gateway}/**`), evil.click('button')]);
    seen.formOfEvil = JSON.parse(await evil.innerText('body')).type;
    await evil.close();
    seen.statusAfterEvil = await breaker(page);

    await page.goto(`${gateway}/admin/`);
    await page.click('text=Sign out');
    seen.signedOut = await page.innerText('body');
    seen.cookiesLeft = (await context.cookies(gateway)).map((each) => each.name);
    await page.goto(`${gateway}/health/`);
    seen.afterwards = await change(page, 'enable', json);
  }
} catch (error) {
  const open = await Promise.all(context.pages().map(async (each) => [each.url(), await each.content()]));
  throw new Error(`${error}\nopen: ${JSON.stringify(open)}`);
} finally {
  await context.close();
}
console.log(JSON.stringify(seen));

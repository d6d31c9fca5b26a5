// An operator at a real gateway: signs in, looks, takes a service out, sees what comes of it, and asks why.
//
//   node operate.mjs <chromium> <profile directory> <gateway> <where callers come>
//
// Prints what was seen, as JSON.
import { browse } from './browser.mjs';

const [executablePath, profile, base, callers] = process.argv.slice(2);
const { context, page, faults, elsewhere } = await browse(executablePath, profile, base);
const seen = {};
const card = page.locator('#service-honest');

async function order(name, reason) {
  await card.locator('header .change').click();
  await page.check(`#order input[value=${name}]`);
  await page.fill('#order input[name=reason]', reason);
  await page.keyboard.press('Enter');
  await page.waitForSelector('#order .told[data-level]');
  const told = await page.innerText('#order .told');
  await page.keyboard.press('Escape');
  return told;
}

try {
  await page.goto(`${base}/admin/`);
  await page.fill('input[name=login]', 'ada');
  await page.fill('input[name=password]', 'any will do');
  await page.click('button[type=submit]');
  await page.click('form:has(input[value=consent]) button[type=submit]');
  await page.waitForURL(`${base}/admin/`);
  // The provider's own pages do as they like.
  faults.length = 0;
  elsewhere.clear();

  await page.waitForSelector('#feed[data-state=live]');
  seen.you = await page.innerText('.you');
  seen.gateway = await page.innerText('#gateway');
  await card.waitFor();
  seen.before = await card.locator('header .state').innerText();
  await fetch(`${callers}/api/honest/x`);
  await card.locator('.health', { hasText: /^reachable$/ }).waitFor();
  seen.hosts = await page.innerText('#hosts');

  seen.told = await order('disable', 'database is moved');
  await card.locator('header .state[data-level=warn]').waitFor();
  seen.after = await card.locator('header .state').innerText();
  seen.about = await card.locator('.about').first().innerText();
  seen.trouble = await page.locator('#troubles a', { hasText: 'honest' }).innerText();
  await page.locator('#transitions tbody tr', { hasText: 'database is moved' }).waitFor();

  seen.refusedWith = (await fetch(`${callers}/api/honest/refused`)).status;
  const refused = page.locator('#refusals tbody tr', { hasText: '/api/honest/refused' });
  await refused.waitFor();
  seen.refusal = await refused.innerText();
  await refused.locator('a').click();
  await page.locator('#why', { hasText: '/api/honest/refused' }).waitFor();
  seen.why = await page.innerText('#why');
  await page.keyboard.press('Escape');

  seen.enabled = await order('enable', 'it is there again');
  await card.locator('header .state[data-level=ok]').waitFor();
  seen.faults = faults;
  seen.elsewhere = [...elsewhere];
} catch (error) {
  const at = (await page.innerText('body')).slice(0, 3000);
  throw new Error(`${error}\nfaults: ${JSON.stringify(faults)}\nseen: ${JSON.stringify(seen)}\non: ${at}`);
} finally {
  await context.close();
}
console.log(JSON.stringify(seen));

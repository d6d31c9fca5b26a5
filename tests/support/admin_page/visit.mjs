// Visits to the page for operators.
//
//   node visit.mjs <chromium> <profile directory> <gateway> <visit> [<file of a picture>]
//
// The gateway is the one of `gateway.py`. Prints what was seen, as JSON.
import { barriers, browse, excess } from './browser.mjs';
import { valuesOn } from './values.mjs';

const [executablePath, profile, base, visit, file] = process.argv.slice(2);
const { context, page, faults, elsewhere } = await browse(executablePath, profile, base);
const seen = {};

async function control(said) {
  const answer = await fetch(`${base}/control`, {
    method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(said),
  });
  return answer.json();
}

async function open(said = {}, hash = '') {
  await control({ anew: true, ...said });
  await page.goto('about:blank');
  await page.goto(`${base}/admin/${hash}`);
  await page.waitForSelector(`#feed[data-state=${said.is_live === false ? 'polling' : 'live'}]`);
  await page.waitForFunction(() => document.querySelector('#glance').dataset.level !== 'none');
}

const texts = (selector) => page.locator(selector).allInnerTexts();
const focused = () => page.evaluate(() => {
  const { id, tagName, textContent, ariaLabel } = document.activeElement;
  return id || ariaLabel || `${tagName} ${textContent}`;
});
const feedIs = (state) => page.waitForSelector(`#feed[data-state=${state}]`);

let pictures = 0;
page.on('websocket', (socket) => socket.on('framereceived', () => { pictures += 1; }));

// When so many more pictures have come in and been drawn.
async function another(times) {
  const wanted = pictures + times;
  while (pictures < wanted) await page.waitForTimeout(20);
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
}

async function escape() {
  await page.keyboard.press('Escape');
  await page.waitForSelector('dialog[open]', { state: 'detached' });
}

// The browser says that a door refused, as was the purpose.
function expect(words) {
  const others = faults.filter((each) => !words.test(each));
  faults.splice(0, faults.length, ...others);
}

const visits = {
  async states() {
    await open({ picture: 'states' });
    seen.summary = await page.innerText('#summary');
    seen.troubles = await texts('#troubles li');
    seen.said = await page.textContent('#said');
    seen.services = Object.fromEntries(await Promise.all((await page.locator('.service').all()).map(async (card) => [
      await card.locator('h3').innerText(),
      { state: await card.locator('header .state').innerText(), level: await card.getAttribute('data-level'), text: await card.innerText() },
    ])));
    seen.order = await texts('.service h3');
    for (const part of ['limits', 'hosts', 'redis', 'refusals', 'transitions']) seen[part] = await page.innerText(`#${part}`);
    seen.you = await page.innerText('.you');
    seen.plots = await page.locator('.service svg[role=img]').evaluateAll((all) => all.map((each) => each.ariaLabel));
    await open();
    seen.quiet = [await page.innerText('#summary'), await page.innerText('#limits'), await page.innerText('#refusals')];
  },

  async barriers() {
    seen.barriers = [];
    seen.excess = [];
    for (const [width, height] of [[1280, 800], [360, 740]]) {
      await page.setViewportSize({ width, height });
      for (const colorScheme of ['light', 'dark']) {
        await page.emulateMedia({ colorScheme });
        await open({ picture: 'hostile' });
        seen.excess.push(await excess(page), await page.evaluate(() => {
          const panel = document.querySelector('#ask').closest('.panel').getBoundingClientRect();
          return Math.max(0, document.querySelector('#ask button').getBoundingClientRect().right - panel.right);
        }));
        await open({ picture: 'states' });
        seen.barriers.push(...await barriers(page));
        seen.excess.push(await excess(page));
        await open({ picture: 'demonstration' });
        await page.click('.service .change >> nth=0');
        seen.barriers.push(...await barriers(page));
        await escape();
        await page.click('#refusals a >> nth=0');
        await page.waitForSelector('.attempts');
        seen.barriers.push(...await barriers(page));
        seen.excess.push(await excess(page), await page.evaluate(() => {
          const dialog = document.querySelector('#why');
          return dialog.scrollWidth - dialog.clientWidth;
        }));
        seen[`${colorScheme} ${width}`] = await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
      }
    }
  },

  async hostile() {
    await open({ picture: 'hostile', name: '<img src=x onerror="window.pwned = 3">jane' });
    seen.text = await page.innerText('body');
    seen.made = await page.locator('main script, main img, main svg[onload], main textarea').count();
    await page.click('.service .change >> nth=0');
    await escape();
    await page.locator('#refusals a').last().click();
    await page.waitForSelector('#why .told, #why .told-document');
    seen.why = await page.innerText('#why');
    seen.pwned = await page.evaluate(() => window.pwned ?? null);
    seen.unseen = (seen.text + seen.why).match(/[\u202a-\u202e\u2066-\u2069\u200f]/g) ?? [];
  },

  async keyboard() {
    await open({ picture: 'demonstration' });
    const press = async (...keys) => { for (const key of keys) await page.keyboard.press(key); };
    await press('Tab');
    seen.first = await focused();
    await press('Enter');
    seen.afterSkip = await focused();
    seen.stops = [];
    const tabTo = async (wanted) => {
      for (let stop = 0; stop < 60; stop += 1) {
        await press('Tab');
        const at = await focused();
        seen.stops.push(at);
        if (at.includes(wanted)) return;
      }
      throw new Error(`never came to ${wanted}: ${seen.stops}`);
    };
    await tabTo('Change the breaker of billing');
    seen.ring = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    await press('Tab', 'ArrowLeft', 'ArrowLeft');
    seen.read = await page.textContent('#said');
    await press('Shift+Tab', 'Enter');
    seen.asked = await page.innerText('#order-title');
    await press('Shift+Tab');
    await press('ArrowUp', 'ArrowUp');
    await press('Tab');
    await page.keyboard.type('90s');
    await press('Tab', 'Enter');
    seen.withoutReason = [(await control({})).orders.length, await focused()];
    await page.keyboard.type('database is moved');
    await press('Enter');
    await page.waitForSelector('#order .told[data-level=ok]');
    seen.told = await page.innerText('#order .told');
    seen.orders = (await control({})).orders;
    await escape();
    seen.back = await focused();
    await control({ order: 403 });
    await press('Enter');
    await page.keyboard.type('again');
    await press('Enter');
    await page.waitForSelector('#order .told[data-level=bad]');
    seen.refused = await page.innerText('#order .told');
    await escape();
    expect(/403/);
  },

  async words() {
    await open();
    Object.assign(seen, await valuesOn(page));
  },

  async rights() {
    await open({ picture: 'demonstration', may_change: false });
    seen.buttons = await page.locator('.change:visible').count();
    seen.you = await page.innerText('.you');
    await control({ may_change: true });
    await page.waitForSelector('.change:visible');
  },

  async feeds() {
    const words = () => page.innerText('#feed');
    await open();
    seen.live = await words();
    await control({ is_live: false });
    await feedIs('polling');
    seen.polling = await words();
    await control({ picture: 'demonstration' });
    await page.waitForSelector('#service-billing');
    await control({ is_live: true });
    await feedIs('live');
    await control({ is_away: true });
    await feedIs('lost');
    await page.waitForFunction(() => /last seen \d/.test(document.querySelector('#feed').textContent));
    seen.lost = await words();
    seen.summary = await page.innerText('#summary');
    seen.trouble = await page.innerText('#troubles li');
    seen.kept = await page.locator('#service-billing').count();
    await control({ is_away: false });
    await feedIs('live');
    seen.afterwards = await texts('#troubles li');
    expect(/Failed to load resource|WebSocket connection/);
    await open({ is_live: false });
    seen.neverLive = await words();
    expect(/WebSocket connection/);
  },

  async steady() {
    await page.setViewportSize({ width: 1000, height: 700 });
    await open({ picture: 'many' });
    const button = page.locator('#service-service-03 header .change');
    await button.focus();
    await page.locator('#refusals .scroller').evaluate((box) => { box.scrollTop = 120; });
    const boxes = () => page.locator('.service').evaluateAll((all) => all.map(({ offsetTop, offsetHeight }) => [offsetTop, offsetHeight]));
    const places = () => page.evaluate(() => [scrollX, scrollY]);
    const before = [await boxes(), await places()];
    await another(3);
    seen.isSteady = JSON.stringify([await boxes(), await places()]) === JSON.stringify(before);
    seen.focus = await focused();
    seen.scrolled = await page.locator('#refusals .scroller').evaluate((box) => box.scrollTop);
    await control({ picture: 'demonstration' });
    await page.waitForSelector('#service-billing');
    await page.locator('#service-users header .change').focus();
    await control({ picture: 'states' });
    await page.waitForSelector('#service-gone');
    await page.click('#service-open header .change');
    await page.fill('#order input[name=reason]', 'half a senten');
    await control({ picture: 'demonstration' });
    await page.waitForSelector('#service-billing', { state: 'attached' });
    await another(2);
    seen.typed = [await page.inputValue('#order input[name=reason]'), await page.locator('#order[open]').count()];
    await escape();
  },

  async order() {
    await open({ picture: 'quiet' });
    await page.locator('#service-search header .change').focus();
    await control({ picture: 'worse' });
    await page.waitForSelector('#service-search[data-level=bad]');
    seen.whileInUse = [await texts('.service h3'), await focused()];
    await page.locator('#find').focus();
    await page.waitForFunction(() => document.querySelector('.service h3').textContent === 'search');
    await page.fill('#find', 'SEAR');
    seen.found = [await texts('.service h3'), await page.innerText('#services-count')];
  },

  async why() {
    await open({ picture: 'demonstration' }, '#why=from-afar');
    await page.waitForSelector('.attempts');
    seen.deep = await page.innerText('#why');
    seen.bars = await page.locator('#why .bar').evaluateAll((all) => all.map((each) => each.ariaLabel));
    await escape();
    seen.afterEscape = [new URL(page.url()).hash, await focused()];
    const link = page.locator('#refusals a').nth(2);
    const name = await link.getAttribute('aria-label');
    await link.focus();
    await page.keyboard.press('Enter');
    await page.waitForSelector('.attempts');
    seen.hash = new URL(page.url()).hash;
    await another(2);
    seen.isStillOpen = await page.locator('#why[open] .attempts').count();
    await escape();
    seen.back = [name, await focused()];
    await page.fill('#ask input', 'unknown');
    await page.keyboard.press('Enter');
    await page.waitForSelector('#why .told');
    seen.unknown = await page.innerText('#why .told');
    await page.goBack();
    await page.waitForSelector('#why[open]', { state: 'detached' });
    expect(/404/);
  },

  async many() {
    await open({ picture: 'many' });
    await another(2);
    seen.below = await page.evaluate(() => {
      const end = document.querySelector('footer').getBoundingClientRect().bottom + scrollY;
      return document.documentElement.scrollHeight - Math.ceil(end);
    });
    seen.counts = [await page.locator('.service').count(), await page.locator('#refusals tbody tr').count()];
  },

  async picture() {
    await page.setViewportSize({ width: 1180, height: 940 });
    await open({ picture: 'demonstration' });
    await page.screenshot({ path: file });
  },

  // All of it, in a directory, for whoever wants to look.
  async pictures() {
    for (const picture of ['demonstration', 'states', 'hostile', 'many']) {
      for (const [width, height] of [[1360, 900], [360, 740]]) {
        for (const colorScheme of ['light', 'dark']) {
          await page.setViewportSize({ width, height });
          await page.emulateMedia({ colorScheme });
          await open({ picture });
          await page.screenshot({ path: `${file}/${picture}-${width}-${colorScheme}.png`, fullPage: true });
        }
      }
    }
  },
};

try {
  await visits[visit]();
  seen.faults = faults;
  seen.elsewhere = [...elsewhere];
} catch (error) {
  const at = (await page.innerText('body')).slice(0, 1500);
  throw new Error(`${error}\nfaults: ${JSON.stringify(faults)}\nseen: ${JSON.stringify(seen)}\non: ${at}`);
} finally {
  await context.close();
}
console.log(JSON.stringify(seen));

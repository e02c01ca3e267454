/**
 * A person reviews. At a random moment of each item something goes wrong: the tab is killed, the network is gone, the key has
 * expired, another person changes the result. At the end the API has each command once (I15). Another run: SEED=7 MOMENTS=200.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { Browser, BrowserContext, Locator, Page } from 'playwright-core';
import type { Prediction, Result } from '../api/types.ts';
import { numbers } from '../bench/scene.ts';
import { chromiumOf, watched, watchedTab } from './browser.ts';
import { box, drafted, resultOf, type Drafted } from './drafted.ts';
import { Faults } from './faults.ts';
import { BASE, KEY, keyUntil, ORIGIN, results } from './stack.ts';

const SEED = Number(process.env['SEED'] ?? 1);
const MOMENTS = Number(process.env['MOMENTS'] ?? 50);
const PICTURE = readFileSync(new URL('../../examples/pictures/horse.jpg', import.meta.url));
const KINDS = ['kill', 'reload', 'offline', 'expired', 'elsewhere', 'full', 'away', 'lost'] as const;
/** What the browser says of refusals, lost answers and a lost network. */
const EXPECTED = /401|412|429|503|ERR_/;
const PATIENCE_MS = 20_000;
const SHORT_MS = 3000;
const THEIRS = { type: 'classification', label: 'night', confidence: 1 } as const;

interface Moment {
  readonly kind: (typeof KINDS)[number];
  readonly item: string;
  /** Pixels that the least confident box is moved by, each a command of its own. */
  readonly moves: number;
  readonly deletes: boolean;
  /** After so many of the person's steps, and so long after that one. */
  readonly after: number;
  readonly delayMs: number;
  /** How often a refusal is repeated. */
  readonly times: number;
}

let browser: Browser;
let faults: Faults;
let stack: Drafted;
let expiredKey: string;
before(async () => {
  faults = await Faults.start();
  browser = await chromiumOf(faults.address);
  const files = Array.from({ length: MOMENTS }, (_, at) => ({ key: `${at}.jpg`, body: PICTURE, predictions: predictions(at) }));
  stack = await drafted(files, ['horse', 'night']);
  expiredKey = keyUntil('2020-01-01T00:00:00Z', 'expired');
});
after(async () => {
  await browser.close();
  faults.close();
});

function predictions(at: number): object[] {
  return [box('horse', 0.3, 20.25 + at, 10, 40, 30), box('horse', 0.6, 50, 60.5, 20, 20), box('horse', 0.9, 100, 100, 30, 30)];
}

/** In the order of the page's queue. */
async function momentsOf(seed: number): Promise<Moment[]> {
  const queue = (await results(stack.project, 'draft')).map(({ item }) => item);
  const random = numbers(seed);
  const upTo = (number: number) => Math.floor(random() * number);
  return [...new Set([...queue, ...stack.items.values()])].map((item, at) => {
    const moves = random() < 0.15 ? 0 : 1 + upTo(4);
    const deletes = moves > 0 && random() < 0.4;
    const steps = moves + Number(deletes) + 1;
    const kind = at < KINDS.length ? KINDS[at]! : KINDS[upTo(KINDS.length)]!;
    return { kind, item, moves, deletes, after: upTo(steps + 1), delayMs: upTo(120), times: 1 + upTo(5) };
  });
}

/** One person at the page, and what is done about each trouble. */
class Person {
  readonly #context: BrowserContext;
  readonly #complaints: string[];
  #isOffline = false;
  page: Page;

  constructor(page: Page, complaints: string[]) {
    [this.#context, this.page, this.#complaints] = [page.context(), page, complaints];
  }

  /** The network is lost, or back. */
  async setOffline(isOffline: boolean): Promise<void> {
    this.#isOffline = isOffline;
    await this.#context.setOffline(isOffline);
  }

  /** Has an item open, whatever the page asks for before. */
  async at(item: string): Promise<void> {
    for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await this.page.waitForTimeout(20)) {
      await this.care();
      if (!this.page.url().includes(item)) {
        faults.clear();
        await this.page.goto(addressOf(item));
      }
      if ((await this.#editor(item).isVisible()) && (await this.page.getByRole('option').first().isVisible())) {
        return;
      }
    }
    throw new Error(`The item does not open: ${await this.page.locator('body').innerText()}`);
  }

  /** Moves the least confident box by a pixel, to `wanted`. What was moved before must still be so. */
  async move(item: string, wanted: number): Promise<void> {
    await this.#until(item, 0, 'Alt+ArrowRight', async () => {
      const x = Number.parseFloat((await this.page.locator('dd').first().textContent({ timeout: SHORT_MS })) ?? '');
      assert.ok([wanted, wanted - 1].includes(x), `The box is at ${x}, and not a pixel before ${wanted}.`);
      return x === wanted;
    });
  }

  async remove(item: string): Promise<void> {
    await this.#until(item, 1, 'x', async () => (await this.page.getByRole('option', { name: /deleted/ }).count()) > 0);
  }

  /** Presses a key on an annotation, once more only if the page was at the sign-in meanwhile. */
  async #until(item: string, row: number, key: string, isDone: () => Promise<boolean>): Promise<void> {
    for (const end = Date.now() + PATIENCE_MS; Date.now() < end;) {
      const isSelected = await this.#unlessGone(() => this.#select(item, row).then(() => true));
      const wasDone = isSelected && (await this.#unlessGone(isDone));
      if (wasDone) {
        return;
      }
      if (wasDone === undefined) {
        continue;
      }
      await this.page.keyboard.press(key);
      while (!(await this.#signIn().isVisible())) {
        if (await this.#unlessGone(isDone)) {
          return;
        }
        assert.ok(Date.now() < end, `${key} does nothing.`);
        await this.page.waitForTimeout(5);
      }
    }
    throw new Error(`${key} cannot be pressed: ${await this.#header()}`);
  }

  /** Decisions are sent seconds later. A refused key may take away what is on the page at any moment: then `undefined`. */
  async #unlessGone<T>(call: () => Promise<T>): Promise<T | undefined> {
    return call().catch((error: Error) => {
      assert.equal(error.name, 'TimeoutError', error.message);
      return undefined;
    });
  }

  async accept(item: string): Promise<void> {
    while (this.page.url().includes(item)) {
      await this.at(item);
      await this.page.keyboard.press('Enter');
      await this.page.waitForURL((url) => !url.pathname.includes(item), { timeout: 500 }).catch(() => undefined);
    }
  }

  /** The tab is gone, and another one is opened. */
  async isKilled(address: string): Promise<void> {
    const session = await this.#context.newCDPSession(this.page);
    const crash = this.page.waitForEvent('crash');
    session.send('Page.crash').catch(() => undefined);
    await crash;
    await this.page.close();
    this.page = await watchedTab(this.#context, stack.pictures, EXPECTED, this.#complaints);
    await this.page.goto(`${address}#key=${KEY}`);
  }

  /**
   * Does what the page asks for: signs in, decides again about what another person has changed, tries again. Decisions are held for
   * seconds, so what is asked for may be about an earlier item. Without a network none of it can be done: it waits,
   * but for the sign-in, which a late answer to the expired key may show: then the network comes back.
   */
  async care(): Promise<void> {
    if (this.#isOffline && !(await this.#signIn().isVisible())) {
      return;
    }
    await this.setOffline(false);
    const seeBoth = this.page.getByRole('link', { name: 'See both' }).first();
    const again = this.page.getByRole('button', { name: 'Try again' }).first();
    for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await this.page.waitForTimeout(20)) {
      if (await this.#signIn().isVisible()) {
        // An answer that the expired key still had to come takes this one away, too: it is the same key for the page.
        await this.#unlessGone(() => this.#giveKey());
      } else if (await seeBoth.isVisible()) {
        await this.#unlessGone(() => this.#decideAgain(seeBoth));
      } else if (await again.isVisible()) {
        await again.click({ timeout: SHORT_MS }).catch(() => undefined);
      } else {
        return;
      }
    }
    throw new Error(`The page stays in trouble: ${await this.#header()}`);
  }

  async #decideAgain(seeBoth: Locator): Promise<void> {
    const timeout = SHORT_MS;
    await seeBoth.click({ timeout });
    await this.page.getByText(/changed this result meanwhile/).waitFor({ timeout });
    await this.page.getByRole('option').first().waitFor({ timeout });
    await this.page.keyboard.press('Enter');
    await seeBoth.waitFor({ state: 'detached', timeout });
  }

  /** Waits until the server has all. Decisions are held for seconds before they are sent. */
  async finish(): Promise<void> {
    for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await this.page.waitForTimeout(50)) {
      await this.care();
      if (await this.page.getByText('All saved').isVisible()) {
        return;
      }
    }
    throw new Error(`Not all is saved: ${await this.#header()}`);
  }

  #header(): Promise<string> {
    return this.page.locator('header').innerText({ timeout: 1000 });
  }

  #editor(item: string): Locator {
    return this.page.locator(`[role=application][data-item="${item}"]`);
  }

  #signIn(): Locator {
    return this.page.getByRole('heading', { name: 'Sign in' });
  }

  async #giveKey(): Promise<void> {
    const timeout = SHORT_MS;
    faults.clear();
    await this.page.getByLabel('API key').fill(KEY, { timeout });
    await this.page.getByRole('button', { name: 'Sign in' }).click({ timeout });
    await this.#signIn().waitFor({ state: 'detached', timeout });
  }

  async #select(item: string, at: number): Promise<void> {
    await this.at(item);
    const row = this.page.getByRole('option').nth(at);
    if ((await row.getAttribute('aria-selected', { timeout: SHORT_MS })) !== 'true') {
      await row.click({ timeout: SHORT_MS });
    }
  }
}

const addressOf = (item: string) => `${ORIGIN}/projects/${stack.project}/items/${item}?queue=draft`;

/** What goes wrong. Says whether another person has changed the result. */
async function strike({ kind, item, times }: Moment, person: Person, draft: Result, isDecided: boolean): Promise<boolean> {
  switch (kind) {
    case 'kill':
      faults.clear();
      await person.isKilled(isDecided ? `${ORIGIN}/projects/${stack.project}` : addressOf(item));
      return false;
    case 'reload':
      faults.clear();
      await person.page.reload();
      return false;
    case 'offline':
      await person.setOffline(true);
      return false;
    case 'expired':
      faults.key = expiredKey;
      return false;
    case 'full':
    case 'away':
      faults.refuse(kind === 'full' ? 429 : 503, times);
      return false;
    case 'lost':
      faults.lose(times);
      return false;
    case 'elsewhere':
      return changedElsewhere(draft);
  }
}

/** Another person adds an annotation, over the version that both have seen. */
async function changedElsewhere({ uid, revision, annotations }: Result): Promise<boolean> {
  const answer = await fetch(`${BASE}/results/${uid}/`, {
    method: 'PATCH',
    headers: { 'X-Avala-Api-Key': KEY, 'Content-Type': 'application/json', 'If-Match': `"${revision}"` },
    body: JSON.stringify({ annotations: [...annotations, THEIRS] }),
  });
  assert.ok([200, 412].includes(answer.status), `${answer.status}`);
  return answer.status === 200;
}

/** Reviews an item. Gives what the API must have at the end. */
async function review(moment: Moment, person: Person): Promise<{ annotations: Prediction[]; revision: number }> {
  const { item, moves, deletes, delayMs } = moment;
  const draft = await resultOf(stack.project, item);
  const [least] = draft.annotations;
  const first = least?.type === 'bounding_box' ? least.coordinates.x : 0;
  const steps = [
    ...Array.from({ length: moves }, (_, at) => () => person.move(item, first + at + 1)),
    ...(deletes ? [() => person.remove(item)] : []),
    () => person.accept(item),
  ];
  await person.care();
  await person.at(item);
  let isTheirs = false;
  for (let done = 0; done <= steps.length; done++) {
    if (done === moment.after) {
      await person.page.waitForTimeout(delayMs);
      isTheirs = await strike(moment, person, draft, done === steps.length);
    }
    await steps[done]?.();
  }
  await person.setOffline(false);
  const mine = draft.annotations.flatMap((annotation, at): Prediction[] => {
    if (at === 0 && annotation.type === 'bounding_box') {
      return [{ ...annotation, coordinates: { ...annotation.coordinates, x: annotation.coordinates.x + moves } }];
    }
    return at === 1 && deletes ? [] : [annotation];
  });
  const changes = Number(isTheirs) + Number(moves > 0 || !isTheirs);
  return { annotations: [...mine, ...(isTheirs ? [THEIRS] : [])], revision: draft.revision + changes };
}

test(`no command is lost and none is done twice, whatever happens at ${MOMENTS} moments (seed ${SEED})`, async (context) => {
  const start = Date.now();
  const { page, complaints } = await watched(browser, stack.pictures, EXPECTED);
  await page.goto(`${ORIGIN}/#key=${KEY}`);
  await page.getByRole('heading', { name: 'Projects' }).waitFor();
  const person = new Person(page, complaints);
  const wanted: { moment: Moment; annotations: Prediction[]; revision: number }[] = [];
  for (const moment of await momentsOf(SEED)) {
    const end = await review(moment, person).catch((error: Error) => {
      throw new Error(`${JSON.stringify(moment)}: ${error.message}`, { cause: error });
    });
    wanted.push({ moment, ...end });
  }
  faults.clear();
  await person.finish();
  for (const { moment, annotations, revision } of wanted) {
    const result = await resultOf(stack.project, moment.item);
    const is = { status: result.status, annotations: result.annotations, revision: result.revision };
    assert.deepEqual(is, { status: 'accepted', annotations, revision }, JSON.stringify(moment));
  }
  const counts = KINDS.map((kind) => `${kind} ${wanted.filter(({ moment }) => moment.kind === kind).length}`);
  context.diagnostic(`seed ${SEED}, ${((Date.now() - start) / 1000).toFixed(0)} s: ${counts.join(', ')}`);
  assert.deepEqual(complaints, []);
});

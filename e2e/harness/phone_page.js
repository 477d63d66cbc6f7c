// The product's own Phone page, driven by its test ids, as a person uses it.

import { hearsNothing, hearsOnly, TONES } from './ear.js';
import { until } from './until.js';

/** One window with the Phone page in it. */
export class PhonePage {
  /** Console errors and uncaught exceptions. */
  complaints = [];

  /** Every URL the page asked for. */
  urls = [];

  constructor(name, context, page) {
    this.name = name;
    this.tone = context.tone;
    this.page = page;
    page.on('pageerror', (error) => this.complaints.push(String(error)));
    page.on('console', (message) => {
      if (message.type() === 'error') {
        this.complaints.push(message.text());
      }
    });
    page.on('request', (request) => this.urls.push(request.url()));
  }

  /** Opens the page in a browser context made by the lab. */
  static async open(name, context, url) {
    const phone = new PhonePage(name, context, await context.newPage());
    await phone.page.goto(url);
    return phone;
  }

  /** Returns an element by its test id. */
  at(id) {
    return this.page.getByTestId(id);
  }

  async #attribute(id, name, value) {
    await until(`${this.name}'s ${id} to be ${value}`, async () => (await this.at(id).getAttribute(name, { timeout: 1000 })) === value, {
      detail: async () => `${await this.at(id).getAttribute(name, { timeout: 1000 })}; complaints: ${this.complaints.join('\n')}`,
    });
  }

  /** Waits for a state of the line: `registered`, `reconnecting`, `failed`… */
  line(state) {
    return this.#attribute('status-connection', 'data-state', state);
  }

  /** Waits for a phase of the call: `ringing`, `incoming`, `active`, `held`, `idle`… */
  call(phase) {
    return this.#attribute('status-call', 'data-phase', phase);
  }

  /** Waits until the page says that the last call ended for a cause. */
  async ended(cause, code) {
    await this.#attribute('call-cause', 'data-cause', cause);
    await this.#attribute('call-cause', 'data-cause-code', String(code));
  }

  /** Types a destination and calls it. */
  async dial(destination) {
    await this.at('input-destination').fill(destination);
    await this.at('btn-call').click();
  }

  #levels() {
    return this.page.evaluate(
      (tones) => globalThis.senses.levels(document.querySelector('[data-testid="remote-audio"]')?.srcObject, tones),
      TONES,
    );
  }

  /** Waits until the page plays the other's tone and no other. */
  hears(other) {
    return hearsOnly(this.name, () => this.#levels(), other.tone);
  }

  /** Waits until the page plays nothing. */
  hearsNothing() {
    return hearsNothing(this.name, () => this.#levels());
  }

  /** Keeps a picture of the window. */
  async picture(path) {
    await this.page.screenshot({ path, fullPage: true });
  }
}

// A phone: one browser context with a microphone of its own, running the stock SDK.

import assert from 'node:assert/strict';
import { hearsNothing, hearsOnly, TONES } from './ear.js';
import { until } from './until.js';
import { installSenses } from '../pages/senses.js';

const ENDED = new Set(['hangup', 'destroy', 'purge', 'done']);

/** Opens a browser context whose microphone sings `tone` and whose camera shows `colour`. */
export async function openContext(browser, { tone, colour = 'rgb(0, 0, 0)', hideAddresses = false }) {
  const context = await browser.newContext({ permissions: hideAddresses ? [] : ['microphone', 'camera'] });
  await context.addInitScript(installSenses, { tone, colour });
  return context;
}

/** The frames of every WebSocket a page opens, in both directions, as they crossed the wire. */
export class Wire {
  /** Oldest first: `{socket, sent, json}`; `json` is the text itself where it is not JSON. */
  frames = [];

  /** The sockets in the order they were opened: `{url, open}`. */
  sockets = [];

  /** Listens to a page. */
  constructor(page) {
    page.on('websocket', (socket) => {
      const number = this.sockets.push({ url: socket.url(), open: true }) - 1;
      const keep = (sent) => ({ payload }) => this.frames.push({ socket: number, sent, json: parse(payload) });
      socket.on('framesent', keep(true));
      socket.on('framereceived', keep(false));
      socket.on('close', () => {
        this.sockets[number].open = false;
      });
    });
  }

  /** Returns the requests of a method that the page sent. */
  sent(method) {
    return this.frames.filter(({ sent, json }) => sent && json.method === method).map(({ json }) => json);
  }

  /** Returns the requests of a method that the server sent. */
  received(method) {
    return this.frames.filter(({ sent, json }) => !sent && json.method === method).map(({ json }) => json);
  }

  /** Returns the server's answer to a request, if it has come. */
  answerTo(request) {
    return this.frames.find(({ sent, json }) => !sent && json.id === request.id && ('result' in json || 'error' in json))?.json;
  }
}

function parse(payload) {
  try {
    return JSON.parse(payload.toString());
  } catch {
    return payload.toString();
  }
}

/** One page with one SDK client. */
export class Phone {
  #context;
  #options;

  /** Uncaught errors and unhandled rejections of the page. */
  pageErrors = [];

  /** Every HTTP exchange of the page with the server: `{method, url, status}`. */
  requests = [];

  /**
   * Opens the SDK page.
   *
   * @param {{ name: string, tone: number, colour?: string, hideAddresses?: boolean }} traits
   */
  static async open(browser, pagesOrigin, traits) {
    const phone = new Phone();
    phone.name = traits.name;
    phone.tone = traits.tone;
    phone.#context = await openContext(browser, traits);
    phone.page = await phone.#context.newPage();
    phone.wire = new Wire(phone.page);
    phone.page.on('pageerror', (error) => phone.pageErrors.push(String(error)));
    phone.page.on('response', (response) => {
      phone.requests.push({ method: response.request().method(), url: response.url(), status: response.status() });
    });
    await phone.page.goto(`${pagesOrigin}/sdk.html`);
    await phone.#ready();
    return phone;
  }

  async #ready() {
    await until('the SDK page to load', () => this.page.evaluate(() => 'driver' in globalThis));
  }

  /** Calls a function of the page's driver. */
  drive(name, ...args) {
    return this.page.evaluate(({ name, args }) => globalThis.driver[name](...args), { name, args });
  }

  /** Returns everything the SDK told since the page was loaded. */
  events() {
    return this.page.evaluate(() => globalThis.driver.events);
  }

  /** Returns {@link events} as lines for a person. */
  async story() {
    const lines = (await this.events()).map(({ type, call, ...facts }) =>
      call
        ? `${call.direction ?? 'new'} call ${call.id} ${call.state} ${call.cause ?? ''} ${call.causeCode ?? ''}`.trimEnd()
        : `${type} ${Object.keys(facts).length ? JSON.stringify(facts) : ''}`.trimEnd(),
    );
    return [`${this.name} saw:`, ...lines].join('\n  ');
  }

  /** Creates the client and connects; resolves at once. `options` are the SDK's own. */
  connect(options) {
    this.#options = options;
    return this.drive('connect', { iceServers: [], ...options });
  }

  /** Connects and waits until the client is registered. */
  async login(options) {
    await this.connect(options);
    await this.event('ready');
    return this;
  }

  /** Waits for an event of a type, for which `also` holds where given, and returns it. */
  event(type, also = () => true) {
    return until(
      `${this.name} to see ${type}`,
      async () => (await this.events()).find((event) => event.type === type && also(event)),
      { detail: () => this.story() },
    );
  }

  /** Waits for a request the server sends, and returns it. */
  receives(method, also = () => true) {
    return until(`${this.name} to receive ${method}`, () => this.wire.received(method).find((json) => also(json)));
  }

  /** Waits for a request the page sends and its answer, and returns both. */
  async exchange(method, also = () => true) {
    const request = await until(`${this.name} to send ${method}`, () => this.wire.sent(method).find((json) => also(json)));
    const answer = await until(`the answer to ${this.name}'s ${method}`, () => this.wire.answerTo(request));
    return { request, answer };
  }

  /** Calls somebody. `options` are the SDK's own. */
  async call(destinationNumber, options = {}) {
    return new PhoneCall(this, await this.drive('newCall', { destinationNumber, ...options }));
  }

  /** Waits for a call that rings here, and returns it. `but` names calls already known. */
  async rings(but = []) {
    const known = but.map(({ id }) => id);
    const found = await until(
      `${this.name} to ring`,
      async () =>
        (await this.drive('calls')).find(
          ({ id, direction, state }) => direction === 'inbound' && state === 'ringing' && !known.includes(id),
        ),
      { detail: () => this.story() },
    );
    return new PhoneCall(this, found.id);
  }

  /** Loads the page anew, as a person pressing F5 does, and connects with the same options. */
  async reload() {
    await this.page.reload();
    await this.#ready();
    await this.drive('connect', { iceServers: [], ...this.#options });
  }

  /** Returns what the page knows about its connection. */
  facts() {
    return this.drive('facts');
  }

  /** Returns the facts worth keeping when a test fails. */
  async diagnosis() {
    const events = await this.events().catch((error) => String(error));
    return { name: this.name, events, pageErrors: this.pageErrors, requests: this.requests, sockets: this.wire.sockets, frames: this.wire.frames };
  }

  /** Closes the page and all it holds. */
  async close() {
    await this.#context.close();
  }
}

/** One leg as its phone sees it. A re-attach keeps it: it goes by call id. */
export class PhoneCall {
  constructor(phone, id) {
    this.phone = phone;
    this.id = id;
  }

  /** Returns what the SDK knows about the call now. */
  describe() {
    return this.phone.drive('describe', this.id);
  }

  /** Returns the states the call went through since the page was loaded. */
  async states() {
    const events = await this.phone.events();
    return events.filter(({ call }) => call?.id === this.id).map(({ call }) => call.state);
  }

  /** Waits until the call is in a state. */
  async is(state) {
    await until(`${this.phone.name}'s call to be ${state}`, async () => (await this.describe()).state === state, {
      detail: () => this.phone.story(),
    });
    return this;
  }

  /** Answers and waits until the call is active. */
  async answer(params) {
    await this.phone.drive('answer', this.id, params);
    return this.is('active');
  }

  /** Hangs up, rejects or cancels, as the call's state has it. */
  hangup() {
    return this.phone.drive('hangup', this.id);
  }

  /** Waits for the end and returns its `{cause, causeCode, sipCode, sipReason}`. */
  async ended() {
    const { call } = await until(
      `${this.phone.name}'s call to end`,
      async () => (await this.phone.events()).find(({ call }) => call?.id === this.id && ENDED.has(call.state)),
      { detail: () => this.phone.story() },
    );
    const { cause, causeCode, sipCode, sipReason } = call;
    return { cause, causeCode, sipCode, sipReason };
  }

  /** Waits for the end and checks its cause. */
  async endedWith(cause, causeCode) {
    const end = await this.ended();
    assert.deepEqual({ cause: end.cause, causeCode: end.causeCode }, { cause, causeCode }, `how ${this.phone.name}'s call ended`);
    return end;
  }

  /** Returns the loudness of each known tone in what arrives. */
  levels() {
    return this.phone.page.evaluate(
      ({ id, tones }) => globalThis.senses.levels(globalThis.driver.remoteStream(id), tones),
      { id: this.id, tones: TONES },
    );
  }

  /** Waits until this side hears the other phone's tone and no other, its own included. */
  hears(other) {
    return hearsOnly(this.phone.name, () => this.levels(), other.tone);
  }

  /** Waits until this side hears nothing. */
  hearsNothing() {
    return hearsNothing(this.phone.name, () => this.levels());
  }

  /** Returns the colour in the middle of the arriving picture, or null without one. */
  colour() {
    return this.phone.page.evaluate((id) => globalThis.senses.colour(globalThis.driver.remoteStream(id)), this.id);
  }

  /** Waits until the codec of the arriving sound is known, and returns it. */
  codec() {
    return until(`the codec ${this.phone.name} receives`, () => this.phone.drive('codec', this.id));
  }
}

/** Waits until both ends of a call hear each other and neither itself. */
export async function hearEachOther(one, other) {
  await Promise.all([one.hears(other.phone), other.hears(one.phone)]);
}

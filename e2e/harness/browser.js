// The one Chromium of a run: Debian's, headless, talking to nobody but the test.

import { access } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { delimiter, join } from 'node:path';
import { chromium } from 'playwright-core';

/** Finds the system's Chromium. */
async function findChromium() {
  const named = process.env.RINGTRIP_E2E_CHROMIUM;
  const folders = (process.env.PATH ?? '').split(delimiter);
  const candidates = named ? [named] : ['chromium', 'chromium-browser', 'google-chrome'].flatMap((name) => folders.map((folder) => join(folder, name)));
  for (const path of candidates) {
    if (await access(path).then(() => true, () => false)) {
      return path;
    }
  }
  throw new Error(`no Chromium found${named ? ` at ${named}` : ' on PATH'}: install the Debian package "chromium", or name one in RINGTRIP_E2E_CHROMIUM`);
}

/** Returns whether some interface beside loopback has an address; without one Chromium gathers no candidate. */
export function hasAddressBesideLoopback() {
  return Object.values(networkInterfaces()).flat().some((address) => !address.internal);
}

async function launchOptions() {
  const args = [
    '--no-sandbox',
    '--use-fake-device-for-media-stream',
    '--use-fake-ui-for-media-stream',
    '--autoplay-policy=no-user-gesture-required',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--no-first-run',
    '--disable-quic',
  ];
  if (!hasAddressBesideLoopback()) {
    args.push('--allow-loopback-in-peer-connection');
  }
  return { executablePath: await findChromium(), headless: true, args };
}

/** Starts Chromium for this process alone, with more in its environment. */
export const launchBrowser = async (env = {}) => chromium.launch({ ...(await launchOptions()), env: { ...process.env, ...env } });

/** Starts a Chromium that several test processes connect to one after the other. */
export const launchSharedBrowser = async () => chromium.launchServer(await launchOptions());

/** Connects to the Chromium of {@link launchSharedBrowser}. */
export const connectBrowser = (endpoint) => chromium.connect(endpoint);

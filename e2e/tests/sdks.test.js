// The official SDKs run every operation, and docs/compatibility.md says what came of it.

import assert from 'node:assert/strict';
import { scenario, summary } from '../harness/lab.js';
import { makeHistory } from '../sdk/history.js';
import { drive, NotRun, SDKS } from '../sdk/drivers.js';
import { differences, write } from '../sdk/table.js';

/** Fetching and building are in it, the first time. */
const ALL_MS = 600_000;

scenario(
  'the official SDKs run every operation, and the compatibility table says so',
  async (lab, t) => {
    const { api_key, user_id } = lab.tenant.account;
    const facts = { user_id, unknown_key: `KEY${'0'.repeat(32)}_${'0'.repeat(22)}`, ...(await makeHistory(lab, t)) };
    const runs = [];
    for (const sdk of SDKS) {
      await t.test(sdk.name, async (t) => {
        try {
          const { version, results, stderr } = await drive(sdk, { base_url: summary.api_base, api_key, facts });
          runs.push({ sdk, version, results });
          const failed = [...results].filter(([, { result }]) => result === 'failed').map(([id, { detail }]) => `${id}: ${detail}`);
          assert.ok(failed.length === 0, `${version}:\n${failed.join('\n')}\n\n${stderr.slice(-4000)}`);
          t.diagnostic(`${version}: ${results.size} operations`);
        } catch (error) {
          if (!(error instanceof NotRun)) {
            throw error;
          }
          runs.push({ sdk });
          t.diagnostic(error.message);
          t.skip('not run: its toolchain or packages are not here');
        }
      });
    }
    const allWell = runs.length === SDKS.length && runs.every(({ results }) => !results || [...results.values()].every(({ result }) => result !== 'failed'));
    if (allWell && process.env.RINGTRIP_COMPATIBILITY === 'write') {
      await write(runs);
    } else if (allWell) {
      assert.deepEqual(await differences(runs), [], 'run "make compatibility" and look at what changed in docs/compatibility.md');
    }
  },
  { timeout: ALL_MS },
);

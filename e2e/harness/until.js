// Waiting for a condition: the only way a test waits.

/** How long a condition may take unless a test says otherwise. */
export const PATIENCE_MS = 20_000;

const STEP_MS = 40;

/**
 * Waits until `probe` returns something truthy, and returns that. An error thrown by the probe counts as
 * "not yet" and is told when patience ends.
 *
 * @param {string} what completes the sentence "waited for …"
 * @param {() => unknown} probe
 * @param {{ patience?: number, times?: number, detail?: () => unknown }} [options] `times`: how often in a
 *   row the condition must hold; `detail`: what to tell beside the failure
 */
export async function until(what, probe, { patience = PATIENCE_MS, times = 1, detail } = {}) {
  const deadline = performance.now() + patience;
  let held = 0;
  let lastError;
  for (;;) {
    try {
      const value = await probe();
      lastError = undefined;
      held = value ? held + 1 : 0;
      if (held >= times) {
        return value;
      }
    } catch (error) {
      held = 0;
      lastError = error;
    }
    if (performance.now() > deadline) {
      break;
    }
    await new Promise((resolve) => setTimeout(resolve, STEP_MS));
  }
  const facts = detail ? await Promise.resolve(detail()).catch((error) => String(error)) : undefined;
  const told = facts === undefined ? '' : `\n${typeof facts === 'string' ? facts : JSON.stringify(facts, null, 1)}`;
  throw new Error(`waited ${patience} ms in vain for ${what}${told}`, { cause: lastError });
}

/** What jsdom lacks and the component library asks for. */

import { cleanup } from '@testing-library/react';
import { afterEach } from 'vitest';

window.matchMedia = (query: string) =>
  ({
    matches: false,
    media: query,
    onchange: null,
    addEventListener: () => undefined,
    removeEventListener: () => undefined,
    dispatchEvent: () => false,
  }) as unknown as MediaQueryList;

globalThis.ResizeObserver = class {
  observe(): void {
    // Nothing is ever resized here.
  }
  unobserve(): void {
    // Nothing is ever resized here.
  }
  disconnect(): void {
    // Nothing is ever resized here.
  }
};

HTMLMediaElement.prototype.play = () => Promise.resolve();

afterEach(() => {
  cleanup();
  sessionStorage.clear();
  window.history.replaceState(null, '', '/');
});

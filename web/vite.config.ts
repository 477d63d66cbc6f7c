import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  plugins: [react()],
  // The server puts the nonce of each answer here, and into its Content-Security-Policy.
  html: { cspNonce: '__CSP_NONCE__' },
  build: {
    target: 'es2022',
    // These know light-dark() themselves. Lowering it would break the colour switch, which sets color-scheme at run time.
    cssTarget: ['chrome123', 'firefox120', 'safari17.5'],
    // The server sends `script-src 'self'`: nothing may be inlined as a data URL or an inline script.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // The SDK is one bundle of 270 kB and is loaded on its own, when somebody signs in.
    chunkSizeWarningLimit: 700,
  },
  server: {
    // `npm run dev` beside a running `ringtrip dev` on its default port; open the page with ?host=ws://127.0.0.1:8080.
    proxy: { '/portal': { target: 'http://127.0.0.1:8080', changeOrigin: true } },
  },
  test: {
    include: ['src/**/*.test.{ts,tsx}'],
    setupFiles: ['src/testing/setup.ts'],
    restoreMocks: true,
    testTimeout: 30_000,
  },
});

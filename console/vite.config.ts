import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  plugins: [react()],
  build: {
    target: 'es2023',
    // The policy of headers.json: no inline script, no data: address.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
  },
  worker: { format: 'es' },
  test: { include: ['{api,editor,screens,ui}/**/*.test.{ts,tsx}'] },
});

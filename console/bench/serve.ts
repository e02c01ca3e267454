import { build, preview } from 'vite';

/** The page of the bench, built and served: its address, and what ends it. */
export async function served(): Promise<{ address: string; close(): Promise<void> }> {
  const root = new URL('.', import.meta.url).pathname;
  const outDir = '../dist-bench';
  const rollupOptions = { input: `${root}page.html` };
  await build({
    root,
    configFile: false,
    logLevel: 'warn',
    worker: { format: 'es' },
    build: { outDir, emptyOutDir: true, rollupOptions },
  });
  const server = await preview({ root, configFile: false, build: { outDir }, preview: { port: 0, host: '127.0.0.1' } });
  return { address: `${server.resolvedUrls?.local[0]}page.html`, close: () => server.close() };
}

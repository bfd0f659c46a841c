import { defineConfig } from 'vitest/config';

// The admin API answers at the address that serves the page. While the console is being
// worked on (npm run dev), another proxy's is used: HOPSCOPE_ADMIN.
const admin = process.env.HOPSCOPE_ADMIN ?? 'http://127.0.0.1:9901';

export default defineConfig({
  base: './',
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    target: 'es2022',
    // The policy of the page allows neither inline scripts and styles nor data: of these.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    cssCodeSplit: false,
    license: { fileName: 'licenses.md' },
    reportCompressedSize: false,
    rolldownOptions: { checks: { pluginTimings: false }, output: { chunkFileNames: ({ name, facadeModuleId }) => `assets/${facadeModuleId?.match(/src\/(\w+)\/page\.tsx$/)?.[1] ?? name}-[hash].js` } },
  },
  worker: { format: 'es' },
  test: { include: ['src/**/*.test.{ts,tsx}'], environment: 'happy-dom' },
  server: { host: '127.0.0.1', proxy: { '/v1': admin, '/clusters': admin, '/reload': admin, '/drain': admin } },
});

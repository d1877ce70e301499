// Builds the explorer into the Python package. Names carry no hashes and CSS scopes depend on content only,
// so that the same sources give the same bytes wherever they are built.
import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  base: './',
  plugins: [
    svelte({
      compilerOptions: { cssHash: ({ hash, css }) => `g${hash(css)}` },
    }),
  ],
  build: {
    outDir: '../src/gatescope/explorer/static',
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: false,
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    rollupOptions: {
      output: {
        entryFileNames: 'explorer.js',
        chunkFileNames: '[name].js',
        assetFileNames: 'explorer.[ext]',
      },
    },
  },
  // The sentences of the page stand in the Python package.
  server: { fs: { allow: ['..'] } },
  test: { include: ['tests/**/*.test.ts'] },
})

// Builds the explorer into the Python package. Names carry no hashes and CSS scopes depend on content only,
// so that the same sources give the same bytes wherever they are built.
import { svelte } from '@sveltejs/vite-plugin-svelte'
import { build, type Plugin } from 'vite'
import { defineConfig } from 'vitest/config'
import { chunks, singleScript } from './chunks'
import { notices } from './notices'
import { program } from './program'
import { sentences } from './sentences'
import { styles, stylesOf } from './styles'
import { translation } from './translation'

/** Adds a script of its own in a single file: a classic one, which can also stand inside a live file, or a module. */
const script = (file: string, entry: string, target: string, format: 'iife' | 'es' = 'iife'): Plugin => ({
  name: `gatescope-${file}`,
  apply: 'build',
  async generateBundle() {
    const built = await build({
      configFile: false,
      logLevel: 'warn',
      build: { write: false, target, lib: { entry, formats: [format], name: 'gatescope', fileName: () => file } },
    })
    const [{ output }] = built as unknown as [{ output: [{ code: string }] }]
    this.emitFile({ type: 'asset', fileName: file, source: output[0].code })
  },
})

// Node 20 has relaxed SIMD behind a flag, which later versions no longer know.
const [nodeVersion = ''] = (globalThis as { process?: { versions: { node: string } } }).process!.versions.node.split(
  '.',
)

export default defineConfig({
  base: './',
  plugins: [
    svelte({
      compilerOptions: { cssHash: ({ hash, css }) => `g${hash(css)}` },
      dynamicCompileOptions: stylesOf,
    }),
    styles(),
    sentences(),
    script('boot.js', 'live/boot.ts', 'es2017'),
    script('unpack.js', 'live/unpack.ts', 'es2022'),
    script('gatescope-embed.js', 'live/embed.ts', 'es2017'),
    script('widget.js', 'live/widget.ts', 'es2022', 'es'),
    script('opening.js', 'src/hosts/opening.ts', 'es2022'),
    script('worker.js', 'engine/start.ts', 'es2022'),
    singleScript('live-page.js'),
    translation('zh'),
    notices(['lzma1']),
    program('live-program.lzma', 'live-page.js', [
      'explorer.css',
      'worker.js',
      'kernels.wasm',
      'kernels-relaxed.wasm',
      'messages-zh.json',
    ]),
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
        assetFileNames: 'explorer.[ext]',
        ...chunks,
      },
    },
  },
  // The sentences of the page stand in the Python package.
  server: { fs: { allow: ['..'] } },
  test: {
    include: ['tests/**/*.test.ts'],
    maxWorkers: '100%',
    execArgv: nodeVersion === '20' ? ['--experimental-wasm-relaxed-simd'] : [],
  },
})

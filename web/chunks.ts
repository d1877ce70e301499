// The scripts of the page: the first one, the parts that are loaded later, and all of them in one script for live files.
import { build, type Plugin, type Rolldown } from 'vite'

/** The first script. What it imports at once is in it. */
const FIRST = 'explorer'

/** The options that divide the page. Names come from modules alone, so that the same sources give the same files. */
export const chunks: Rolldown.OutputOptions = {
  entryFileNames: `${FIRST}.js`,
  chunkFileNames: ({ name }) => `${kebab(name.replace('.svelte', ''))}.js`,
  codeSplitting: {
    groups: [
      { name: FIRST, tags: ['$initial'], priority: 2 },
      // Small scripts for each pair of parts would cost more requests than they save bytes.
      { name: 'shared', minShareCount: 2, priority: 1 },
    ],
  },
}

/** Return a name in small letters; a file system may take small and capital letters as equal. */
const kebab = (name: string): string => name.replace(/(?<=[a-z])(?=[A-Z])/g, '-').toLowerCase()

/** Adds the whole page as one script without imports, which a live file can hold. */
export const singleScript = (file: string): Plugin => ({
  name: 'gatescope-single-script',
  apply: 'build',
  generateBundle: {
    // Vite completes the imports of the scripts in the same hook.
    order: 'post',
    async handler(_options, bundle) {
      const entry = `${FIRST}.js`
      const built = await build({
        configFile: false,
        logLevel: 'warn',
        plugins: [scriptsOf(bundle)],
        build: {
          write: false,
          target: 'es2022',
          // As a library, the parts get no helper that loads them; they got it above.
          lib: { entry, formats: ['es'] },
          rollupOptions: { output: { codeSplitting: false, minify: true } },
        },
      })
      const [{ output }] = built as unknown as [{ output: { code: string }[] }]
      if (output.length !== 1) throw new Error(`${file}: expected one script, got ${output.length}.`)
      this.emitFile({ type: 'asset', fileName: file, source: output[0]!.code })
    },
  },
})

/** Reads the scripts of a bundle as modules. */
const scriptsOf = (bundle: Rolldown.OutputBundle): Plugin => ({
  name: 'gatescope-scripts-of-bundle',
  enforce: 'pre',
  resolveId: (name) => {
    const file = name.split('/').at(-1)!
    return bundle[file] ? file : null
  },
  load: (file) => {
    const chunk = bundle[file]
    return chunk?.type === 'chunk' ? chunk.code : null
  },
})

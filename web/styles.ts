// Keeps the styles of later parts out of the style sheet that the page waits for: each part brings its own.
import { fileURLToPath } from 'node:url'
import { join } from 'node:path'
import type { Plugin } from 'vite'
import { needed } from './sentences'

const SOURCE = fileURLToPath(new URL('src', import.meta.url))
const ADD_STYLES = join(SOURCE, 'parts', 'add-styles.ts')

/** The components whose styles the page needs at once. */
const first = needed(join(SOURCE, 'main.ts'))

/** The option of the compiler for a component: a later part has its styles in its script. */
export const stylesOf = ({ filename }: { filename: string }): { css: 'injected' } | undefined =>
  filename.startsWith(SOURCE) && !first.has(filename) ? { css: 'injected' } : undefined

/** Lets these scripts adopt a style sheet: the policy of the page allows no element with styles. */
export const styles = (): Plugin => ({
  name: 'gatescope-styles',
  enforce: 'post',
  transform(code, id) {
    if (!id.endsWith('.svelte') || !code.includes('$.append_styles(')) return null
    return {
      code: `import { addStyles } from ${JSON.stringify(ADD_STYLES)};\n${code.replace(/\$\.append_styles\(\$\$anchor, /g, 'addStyles(')}`,
      map: null,
    }
  },
})

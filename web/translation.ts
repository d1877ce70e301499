// Adds the sentences of a language other than English as a file of its own, which the page loads when it is chosen.
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Plugin } from 'vite'

/** The kinds of titles that the page shows; the others are for the command line. */
const PAGE_KINDS = ['signal', 'cell', 'cell_note', 'task', 'question', 'feature', 'feature_short']

/** Return the JSON of a file of a language. */
const read = (language: string, file: string): unknown =>
  JSON.parse(
    readFileSync(fileURLToPath(new URL(`../src/gatescope/messages/${language}/${file}`, import.meta.url)), 'utf8'),
  )

export const translation = (language: string): Plugin => ({
  name: `gatescope-messages-${language}`,
  apply: 'build',
  generateBundle() {
    const titles = Object.entries(read(language, 'titles.json') as object).filter(([kind]) => PAGE_KINDS.includes(kind))
    const source = JSON.stringify({ page: read(language, 'page.json'), titles: Object.fromEntries(titles) })
    this.emitFile({ type: 'asset', fileName: `messages-${language}.json`, source })
  },
})

// Divides the English sentences as the page is divided: those that later parts alone show are loaded with these parts.
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Plugin } from 'vite'

const SOURCE = fileURLToPath(new URL('src', import.meta.url))
const CATALOGUE = '/messages/en/page.json'
const CODE = /\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b/g
const IMPORT = /(?:from |import )'(\.[^']*)'/g

const filesIn = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((file) => join(folder, file))
    .filter((file) => /\.(ts|svelte)$/.test(file))

const isFile = (file: string): boolean => statSync(file, { throwIfNoEntry: false })?.isFile() ?? false

/** Return the files that a file needs at once, itself included. */
export function needed(file: string, found = new Set<string>()): Set<string> {
  if (found.has(file)) return found
  found.add(file)
  for (const [, target = ''] of readFileSync(file, 'utf8').matchAll(IMPORT)) {
    const path = join(dirname(file), target)
    const next = [path, `${path}.ts`].find((one) => /\.(ts|svelte)$/.test(one) && isFile(one))
    if (next) needed(next, found)
  }
  return found
}

const codesIn = (files: Iterable<string>): Set<string> =>
  new Set([...files].flatMap((file) => readFileSync(file, 'utf8').match(CODE) ?? []))

/** Return the codes that are named in later parts alone. A code that is named nowhere may come from the engine. */
function laterCodes(): Set<string> {
  const first = needed(join(SOURCE, 'main.ts'))
  const firstCodes = codesIn(first)
  const others = codesIn(filesIn(SOURCE).filter((file) => !first.has(file)))
  return new Set([...others].filter((code) => !firstCodes.has(code)))
}

/** Gives `page.json` the sentences that the first picture may show, and `page.json?later` the others. */
export function sentences(): Plugin {
  let later = new Set<string>()
  return {
    name: 'gatescope-sentences',
    apply: 'build',
    enforce: 'pre',
    buildStart() {
      later = laterCodes()
    },
    transform(source, id) {
      const [file = '', query] = id.split('?')
      if (!file.endsWith(CATALOGUE)) return null
      const all = Object.entries(JSON.parse(source) as Record<string, string>)
      const chosen = all.filter(([code]) => later.has(code) === (query === 'later'))
      return { code: `export default ${JSON.stringify(Object.fromEntries(chosen))}`, map: null, moduleType: 'js' }
    },
  }
}

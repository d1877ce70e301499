// The rooms of the page and the arrows between them: a file imports from its own floor and the floors below only.
import { expect, it } from 'vitest'

const FLOORS = ['engine', 'messages', 'data', 'model', 'draw', 'state', 'parts', 'pages', 'hosts', 'main.ts']

const files = import.meta.glob<string>('../{engine,src}/**/*.{ts,svelte}', { query: '?raw', import: 'default', eager: true }) // prettier-ignore
const sources = Object.entries(files).map(([path, source]) => [path.replace(/^..\/(src\/)?/, ''), source] as const)
const known = new Set(sources.map(([file]) => file))

/** Resolve a relative import of a file to a path below src/, or in engine/. */
function resolve(file: string, target: string): string {
  return new URL(target, `file:///${file}`).pathname.slice(1)
}

/** List the files that a file imports, as paths below src/ or in engine/; style sheets are left out. */
function importsOf(file: string, source: string): string[] {
  const targets = [...source.matchAll(/(?:from |import |import\()'(\.[^']*)'/g)].map((match) =>
    resolve(file, match[1]!),
  )
  return targets
    .filter((target) => !/\.(css|json)$/.test(target))
    .map((target) => (known.has(target) ? target : `${target}.ts`))
}

const floor = (file: string): number => FLOORS.indexOf(file.split('/')[0]!)

it('every file is on a floor', () => {
  expect(sources.length).toBeGreaterThan(60)
  expect(sources.map(([file]) => file).filter((file) => floor(file) < 0)).toEqual([])
})

it('imports lead to files that exist', () => {
  const lost = sources.flatMap(([file, source]) =>
    importsOf(file, source)
      .filter((target) => !known.has(target))
      .map((target) => `${file} -> ${target}`),
  )
  expect(lost).toEqual([])
})

it('no import leads up', () => {
  const up = sources.flatMap(([file, source]) =>
    importsOf(file, source)
      .filter((target) => floor(target) > floor(file))
      .map((target) => `${file} -> ${target}`),
  )
  expect(up).toEqual([])
})

it('the engine touches no page', () => {
  const words = /\b(document|window|HTMLElement|localStorage|fetch|eval|new Function)\b/
  const engine = sources.filter(([file]) => file.startsWith('engine/'))
  expect(engine.length).toBeGreaterThan(20)
  expect(engine.filter(([, source]) => words.test(source)).map(([file]) => file)).toEqual([])
})

it('no imports form a circle', () => {
  const graph = new Map(sources.map(([file, source]) => [file, importsOf(file, source)]))
  const finished = new Set<string>()
  const circles: string[] = []
  const visit = (file: string, path: string[]): void => {
    if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(' -> '))
    if (finished.has(file) || path.includes(file)) return
    for (const target of graph.get(file) ?? []) visit(target, [...path, file])
    finished.add(file)
  }
  for (const [file] of sources) visit(file, [])
  expect(circles).toEqual([])
})

it('no file is longer than 400 lines', () => {
  const long = sources.filter(([, source]) => source.split('\n').length > 400).map(([file]) => file)
  expect(long).toEqual([])
})
